-- What this service keeps of users: fed by user.registered and user.updated, asked for by gRPC on a miss.
CREATE TABLE notification.users (
    id        uuid    PRIMARY KEY,
    version   integer NOT NULL,
    email     text    NOT NULL,
    full_name text    NOT NULL,
    locale    text    NOT NULL,
    is_active boolean NOT NULL
);
