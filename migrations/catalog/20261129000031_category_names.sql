-- Categories are listed by name as Turkish orders it: Ç after C, I before İ.
CREATE INDEX idx_categories_name ON catalog.categories (name COLLATE "tr-x-icu", id);
