-- One spelling for search: `Işık`, `ışık` and `isik` are alike.
CREATE FUNCTION enrollment.fold_turkish(text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(translate($1, 'İIıŞşÇçĞğÖöÜüÂâÎîÛû', 'iiissccggoouuaaiiuu'));

CREATE INDEX idx_users_name ON enrollment.users USING gin (enrollment.fold_turkish(full_name) extensions.gin_trgm_ops);
