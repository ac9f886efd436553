-- People who were erased: what is told of them afterwards is about nobody.
CREATE TABLE reporting.erased_users (
    user_id uuid PRIMARY KEY
);
