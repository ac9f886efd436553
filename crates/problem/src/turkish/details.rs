//! What problems say of a request, and of the rules of services.

/// English and Turkish, with the same places in the same order. Where two fit, the first one is taken.
pub(super) static TEXTS: &[(&str, &str)] = &[
    // The rules of the contract
    ("at least {} characters", "en az {} karakter olmalı"),
    ("at most {} characters", "en çok {} karakter olmalı"),
    ("not only spaces", "yalnızca boşluk olamaz"),
    ("at least {} items", "en az {} öğe olmalı"),
    ("at most {} items", "en çok {} öğe olmalı"),
    ("at least {}", "en az {} olmalı"),
    ("at most {}", "en çok {} olmalı"),
    ("does not have the expected form", "beklenen biçimde değil"),
    ("one of: {}", "şunlardan biri olmalı: {}"),
    ("a UUID", "bir UUID olmalı"),
    ("an e-mail address", "bir e-posta adresi olmalı"),
    ("each item once", "her öğe bir kez yer almalı"),
    ("has to be set", "verilmesi gerekli"),
    // Reading the request
    ("U+0000 is not accepted", "U+0000 kabul edilmez"),
    ("byte {} is not UTF-8", "{}. bayt UTF-8 değil"),
    ("this request has no such field", "bu istekte böyle bir alan yok"),
    (
        "the body says otherwise than the path",
        "gövdedeki değer adrestekinden farklı",
    ),
    ("stands more than once", "birden çok kez verilmiş"),
    (
        "this route has no such parameter",
        "bu adreste böyle bir parametre yok",
    ),
    ("a whole number", "bir tam sayı olmalı"),
    ("true or false", "true ya da false olmalı"),
    ("the query is not UTF-8", "sorgu UTF-8 değil"),
    ("the path is not UTF-8", "adres UTF-8 değil"),
    ("the body did not arrive in time", "gövde zamanında ulaşmadı"),
    (
        "the body is no form of multipart/form-data",
        "gövde bir multipart/form-data formu değil",
    ),
    ("the form has no file", "formda dosya yok"),
    ("a form has one file", "formda tek dosya olmalı"),
    (
        "the fields of the form are too many or too long",
        "formun alanları çok fazla ya da çok uzun",
    ),
    (
        "a compressed body is not taken",
        "sıkıştırılmış gövde kabul edilmez",
    ),
    (
        "Idempotency-Key has to be 1 to 255 visible ASCII characters",
        "Idempotency-Key 1 ile 255 arası görünür ASCII karakter olmalı",
    ),
    ("not from this origin", "bu kaynaktan (origin) olmaz"),
    (
        "`ticket` and `after` (a notification's id) are known here",
        "burada `ticket` ve `after` (bir bildirimin kimliği) bilinir",
    ),
    ("not a notification's id", "bir bildirim kimliği değil"),
    (
        "a WebSocket handshake (RFC 6455) over HTTP/1.1 is needed",
        "HTTP/1.1 üzerinden WebSocket el sıkışması (RFC 6455) gerekli",
    ),
    // What the JSON reader says
    (
        "EOF while parsing {} at line {} column {}",
        "JSON bitmeden gövde bitti ({}): satır {}, sütun {}",
    ),
    (
        "expected a number at line {} column {}",
        "bir sayı bekleniyordu: satır {}, sütun {}",
    ),
    (
        "unexpected end of hex escape at line {} column {}",
        "yarım kalmış \\u kaçış dizisi: satır {}, sütun {}",
    ),
    (
        "expected {} at line {} column {}",
        "{} bekleniyordu: satır {}, sütun {}",
    ),
    (
        "duplicate field `{}` at line {} column {}",
        "`{}` alanı birden çok kez verilmiş: satır {}, sütun {}",
    ),
    (
        "invalid type: {}, expected an object at line {} column {}",
        "tür yanlış: {} verilmiş, bir nesne (object) bekleniyordu: satır {}, sütun {}",
    ),
    (
        "invalid type: {}, expected a string at line {} column {}",
        "tür yanlış: {} verilmiş, bir metin (string) bekleniyordu: satır {}, sütun {}",
    ),
    (
        "invalid type: {}, expected {} at line {} column {}",
        "tür yanlış: {} verilmiş, {} bekleniyordu: satır {}, sütun {}",
    ),
    (
        "invalid value: {}, expected {} at line {} column {}",
        "değer yanlış: {} verilmiş, {} bekleniyordu: satır {}, sütun {}",
    ),
    (
        "trailing characters at line {} column {}",
        "JSON'dan sonra başka karakterler var: satır {}, sütun {}",
    ),
    (
        "trailing comma at line {} column {}",
        "fazladan virgül: satır {}, sütun {}",
    ),
    (
        "key must be a string at line {} column {}",
        "anahtar bir metin olmalı: satır {}, sütun {}",
    ),
    (
        "recursion limit exceeded at line {} column {}",
        "iç içelik çok derin: satır {}, sütun {}",
    ),
    (
        "invalid escape at line {} column {}",
        "geçersiz kaçış dizisi: satır {}, sütun {}",
    ),
    (
        "invalid number at line {} column {}",
        "geçersiz sayı: satır {}, sütun {}",
    ),
    (
        "number out of range at line {} column {}",
        "sayı aralık dışında: satır {}, sütun {}",
    ),
    // Rules of services
    (
        "has to be the same as prerequisite_ids",
        "prerequisite_ids ile aynı olmalı",
    ),
    ("has to be a UUID", "bir UUID olmalı"),
    ("has to be base64", "base64 olmalı"),
    ("has to be between {} and {}", "{} ile {} arasında olmalı"),
    ("has to be at least 1 character", "en az 1 karakter olmalı"),
    ("has to be at least {}", "en az {} olmalı"),
    ("has to be a time such as {}", "{} gibi bir zaman olmalı"),
    ("has to be a day such as {}", "{} gibi bir gün olmalı"),
    ("has not come yet", "henüz gelmemiş"),
    (
        "has to be before the end, and not in the future",
        "sondan önce olmalı, gelecekte olmamalı",
    ),
    ("is more than {} days", "{} günden uzun"),
    (
        "The report could not be made. Please ask again later.",
        "Rapor hazırlanamadı. Lütfen daha sonra yeniden isteyin.",
    ),
    ("is no kind of a report", "bir rapor türü değil"),
    ("is no format", "bir biçim değil"),
    ("has to be after {}", "{} değerinden sonra olmalı"),
    ("needs closes_at", "closes_at gerekli"),
    ("not before {}", "{} zamanından önce başlanamaz"),
    (
        "a weight has to be between -1 and 1",
        "ağırlık -1 ile 1 arasında olmalı",
    ),
    (
        "a numeric question accepts numbers",
        "sayısal soru sayı kabul eder",
    ),
    (
        "has to be a number with a tolerance of at least 0",
        "toleransı en az 0 olan bir sayı olmalı",
    ),
    ("an accepted answer is empty", "kabul edilen bir yanıt boş"),
    ("has to have at least 2 options", "en az 2 seçenek olmalı"),
    ("has to have 2 options", "2 seçenek olmalı"),
    ("an option is empty", "bir seçenek boş"),
    (
        "an option id stands twice",
        "bir seçenek kimliği iki kez verilmiş",
    ),
    ("no option is correct", "doğru seçenek yok"),
    (
        "exactly one option has to be correct",
        "tam olarak bir seçenek doğru olmalı",
    ),
    ("no answer gives all points", "hiçbir yanıt tam puan vermiyor"),
    ("this question has no options", "bu sorunun seçeneği yok"),
    ("this question takes no number", "bu soruya sayı verilmez"),
    ("this question takes no text", "bu soruya metin verilmez"),
    ("has to be a number", "bir sayı olmalı"),
    (
        "this question takes one option",
        "bu soruda tek seçenek işaretlenir",
    ),
    ("is no option of this question", "bu sorunun seçeneği değil"),
    ("an option stands twice", "bir seçenek iki kez verilmiş"),
    ("is not a state of an enrolment", "bir kayıt durumu değil"),
    (
        "An enrolment that is {} cannot become {}.",
        "{} durumundaki kayıt {} durumuna geçemez.",
    ),
    ("Complete first: {}.", "Önce tamamlanması gereken: {}."),
    (
        "a OneRoster package is a zip file, and CSV is none",
        "OneRoster paketi bir zip dosyasıdır, CSV değildir",
    ),
    (
        "more than {} rows; give them in several files",
        "{} satırdan fazla; birkaç dosyaya bölün",
    ),
    (
        "the file has {} courses: say which of them this is",
        "dosyada {} ders var: hangisi olduğunu belirtin",
    ),
    (
        "OneRoster tells addresses in another file: give the whole package",
        "OneRoster adresleri başka dosyada verir: paketin tamamını gönderin",
    ),
    ("no column has addresses", "e-posta adresi olan bir sütun yok"),
    (
        "user {} has no address in users.csv",
        "{} kullanıcısının users.csv içinde adresi yok",
    ),
    ("the address is in line {} already", "adres {}. satırda zaten var"),
    (
        "there are active, inactive and tobedeleted",
        "active, inactive ve tobedeleted olabilir",
    ),
    ("{} is a second column of this", "{} aynı bilginin ikinci sütunu"),
    (
        "{} values under {} headings; a value with the delimiter in it needs quotes",
        "{} değer, {} başlık var; ayırıcı içeren değer tırnak içinde olmalı",
    ),
    (
        "longer than {} bytes; a quote may be open",
        "{} bayttan uzun; bir tırnak açık kalmış olabilir",
    ),
    (
        "To be told of these events needs the permission {}.",
        "Bu olaylardan haberdar olmak için {} yetkisi gerekir.",
    ),
    (
        "give either content or content_base64",
        "content ya da content_base64 verin",
    ),
    ("There is no permission {}.", "{} diye bir yetki yok."),
    (
        "has to be one of those that are configured",
        "tanımlı olanlardan biri olmalı",
    ),
    (
        "has to be the name of an IANA time zone",
        "bir IANA saat diliminin adı olmalı",
    ),
    (
        "is among the first that an attacker tries",
        "bir saldırganın ilk deneyeceklerinden",
    ),
    ("is not the password of this account", "bu hesabın parolası değil"),
    (
        "has to differ from quiet_from",
        "quiet_from değerinden farklı olmalı",
    ),
    (
        "quiet_from and quiet_to need each other",
        "quiet_from ve quiet_to birlikte verilmeli",
    ),
    ("is not one of ours", "bilinenlerden değil"),
    ("a segment ends before it starts", "bir parça başlamadan bitiyor"),
];
