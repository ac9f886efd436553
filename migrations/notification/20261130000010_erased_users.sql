-- People who were erased: nothing about them is kept or sent any more, however late it is told.
CREATE TABLE notification.erased_users (
    user_id uuid PRIMARY KEY
);

-- Those of before: an erasure takes the address, and no account is without one.
INSERT INTO notification.erased_users (user_id) SELECT id FROM notification.users WHERE email = '';
