-- One spelling for search: `İstanbul`, `istanbul`, `ISTANBUL` and `ıstanbul` are alike, and so are `türev` and `turev`.
CREATE FUNCTION catalog.fold_turkish(text) RETURNS text
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    RETURN lower(translate($1, 'İIıŞşÇçĞğÖöÜüÂâÎîÛû', 'iiissccggoouuaaiiuu'));
