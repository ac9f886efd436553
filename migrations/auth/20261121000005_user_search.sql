-- One spelling for search: `Işık`, `ışık` and `isik` are alike.
CREATE FUNCTION auth.fold_turkish(text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(translate($1, 'İIıŞşÇçĞğÖöÜüÂâÎîÛû', 'iiissccggoouuaaiiuu'));

DROP INDEX auth.idx_users_search;
CREATE INDEX idx_users_search ON auth.users USING gin (auth.fold_turkish(full_name || ' ' || email) extensions.gin_trgm_ops);
