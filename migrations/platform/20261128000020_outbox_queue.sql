-- Set on a task: the queue that it goes to. An event goes to whoever listens.
ALTER TABLE outbox ADD COLUMN queue text;
