-- People who were erased: they begin nothing any more, nobody gives them more time, and nothing is written about them.
CREATE TABLE exam.erased_users (
    user_id uuid PRIMARY KEY
);
