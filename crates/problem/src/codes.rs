//! Every code that a client may meet, with its kind and its text in both languages. A code never changes its meaning.

use crate::{Kind, Language};

/// A stable error code: the `code` member of problem+json and the `reason` of gRPC's `ErrorInfo`.
#[derive(Debug, PartialEq, Eq)]
pub struct Code {
    pub name: &'static str,
    pub kind: Kind,
    pub en: &'static str,
    pub tr: &'static str,
}

impl Code {
    pub fn text(&self, language: Language) -> &'static str {
        match language {
            Language::En => self.en,
            Language::Tr => self.tr,
        }
    }
}

/// The code of that name.
pub fn by_name(name: &str) -> Option<&'static Code> {
    ALL.iter().copied().find(|code| code.name == name)
}

macro_rules! codes {
    ($($ident:ident = $name:literal, $kind:ident, $en:literal, $tr:literal;)+) => {
        $(#[doc = $en] pub static $ident: Code = Code { name: $name, kind: Kind::$kind, en: $en, tr: $tr };)+
        /// All codes, in the order of this file.
        pub static ALL: &[&Code] = &[$(&$ident),+];
    };
}

codes! {
    // Reading the request
    MALFORMED_JSON = "malformed_json", Malformed, "The body is not valid JSON for this request.", "İstek gövdesi bu istek için geçerli JSON değil.";
    MALFORMED_REQUEST = "malformed_request", Malformed, "The request could not be read.", "İstek okunamadı.";
    UNKNOWN_PARAMETER = "unknown_parameter", Malformed, "The request has a query parameter that this route does not know.", "İstekte bu adresin bilmediği bir sorgu parametresi var.";
    INVALID_PAGE_TOKEN = "invalid_page_token", Malformed, "The page token is not one of ours.", "Sayfa anahtarı geçersiz.";
    VALIDATION_FAILED = "validation_failed", Invalid, "A field of the request is not valid.", "İstekteki bir alan geçerli değil.";
    PAYLOAD_TOO_LARGE = "payload_too_large", TooLarge, "The body is larger than this route accepts.", "İstek gövdesi izin verilenden büyük.";
    UNSUPPORTED_MEDIA_TYPE = "unsupported_media_type", UnsupportedMediaType, "The body has to be application/json in UTF-8, or a file where the route takes one.", "İstek gövdesi UTF-8 kodlu application/json ya da adres dosya kabul ediyorsa bir dosya olmalı.";
    ROUTE_NOT_FOUND = "route_not_found", NotFound, "There is nothing at this address.", "Bu adreste bir şey yok.";
    METHOD_NOT_ALLOWED = "method_not_allowed", MethodNotAllowed, "This address does not know that method.", "Bu adres bu yöntemi desteklemiyor.";
    NOT_FOUND = "not_found", NotFound, "It does not exist, or you may not see it.", "Kayıt yok ya da görme yetkiniz yok.";
    // Idempotency-Key
    IDEMPOTENCY_KEY_REUSED = "idempotency_key_reused", Invalid, "This Idempotency-Key was used with another request.", "Bu Idempotency-Key başka bir istekle kullanılmış.";
    IDEMPOTENCY_KEY_IN_USE = "idempotency_key_in_use", Conflict, "The first request with this Idempotency-Key is still running.", "Bu Idempotency-Key ile gönderilen ilk istek sürüyor.";
    // Who and what
    UNAUTHENTICATED = "unauthenticated", Unauthenticated, "A valid access token is needed.", "Geçerli bir erişim anahtarı gerekli.";
    INVALID_TOKEN = "invalid_token", Unauthenticated, "The access token is not valid, has expired or was revoked.", "Erişim anahtarı geçersiz, süresi dolmuş ya da iptal edilmiş.";
    PERMISSION_DENIED = "permission_denied", Forbidden, "You may not do this.", "Bu işlem için yetkiniz yok.";
    // Load and faults
    RATE_LIMITED = "rate_limited", RateLimited, "Too many requests; try again after Retry-After seconds.", "Çok fazla istek; Retry-After saniye sonra yeniden deneyin.";
    OVERLOADED = "overloaded", Unavailable, "The service is busy; try again shortly.", "Hizmet yoğun; kısa süre sonra yeniden deneyin.";
    UNAVAILABLE = "unavailable", Unavailable, "A part that this request needs is not available; try again shortly.", "Bu istek için gereken bir bölüm şu an kullanılamıyor; kısa süre sonra yeniden deneyin.";
    TIMEOUT = "timeout", Timeout, "The request took too long.", "İstek çok uzun sürdü.";
    OPERATION_TIMEOUT = "operation_timeout", Timeout, "It took longer than an operation may, and was ended; what was done until then stays done.", "İşlem izin verilen süreyi aştığı için sonlandırıldı; o ana kadar yapılanlar geçerli.";
    INTERNAL = "internal", Internal, "Something went wrong on our side.", "Bizim tarafımızda bir hata oluştu.";
    CONFLICT = "conflict", Conflict, "The state of the resource does not allow this.", "Kaydın durumu buna izin vermiyor.";
    // auth
    INVALID_CREDENTIALS = "invalid_credentials", Unauthenticated, "E-mail address or password is wrong.", "E-posta adresi ya da parola yanlış.";
    WRONG_PASSWORD = "wrong_password", Invalid, "The current password is wrong.", "Mevcut parola yanlış.";
    TOTP_REQUIRED = "totp_required", Unauthenticated, "A code of the authenticator app is needed.", "Doğrulama uygulamasının kodu gerekli.";
    // Signing in with it; `invalid_totp_code` is of who is signed in, to whom a 401 would say that their token is no longer good.
    WRONG_TOTP_CODE = "wrong_totp_code", Unauthenticated, "The code of the second factor is wrong, or was used already.", "İkinci doğrulama adımının kodu yanlış ya da daha önce kullanılmış.";
    TOTP_ENABLED = "totp_enabled", Conflict, "A second factor is on already.", "İkinci doğrulama adımı zaten açık.";
    TOTP_NOT_BEGUN = "totp_not_begun", Conflict, "There is no second factor to confirm.", "Onaylanacak bir ikinci doğrulama adımı yok.";
    TOTP_NOT_ENABLED = "totp_not_enabled", Conflict, "There is no second factor.", "İkinci doğrulama adımı açık değil.";
    INVALID_TOTP_CODE = "invalid_totp_code", Invalid, "The code is not right, or was used already.", "Kod yanlış ya da daha önce kullanılmış.";
    SIGN_IN_AGAIN = "sign_in_again", Forbidden, "Sign in again first: this needs a session that began a short while ago.", "Önce yeniden giriş yapın: bu işlem yeni başlamış bir oturum ister.";
    INVALID_REFRESH_TOKEN = "invalid_refresh_token", Unauthenticated, "The refresh token is not valid, has expired or was revoked.", "Yenileme anahtarı geçersiz, süresi dolmuş ya da iptal edilmiş.";
    INVALID_ONE_TIME_TOKEN = "invalid_one_time_token", Invalid, "The link is not valid, was used or has expired.", "Bağlantı geçersiz, kullanılmış ya da süresi dolmuş.";
    EMAIL_TAKEN = "email_taken", Conflict, "An account with this address exists.", "Bu adresle bir hesap var.";
    UNKNOWN_ROLE = "unknown_role", Invalid, "There is no such role.", "Böyle bir rol yok.";
    UNKNOWN_PERMISSION = "unknown_permission", Invalid, "There is no such permission.", "Böyle bir yetki yok.";
    NOT_TO_BE_IMPERSONATED = "not_to_be_impersonated", Conflict, "Nobody can act as this user.", "Bu kullanıcının yerine işlem yapılamaz.";
    LAST_ADMIN = "last_admin", Conflict, "The last active admin has to stay one.", "Son etkin yönetici yönetici kalmalı.";
    MORE_THAN_YOURS = "more_than_yours", Forbidden, "This role has permissions that you lack.", "Bu rolde sizde olmayan yetkiler var.";
    NOT_FOR_A_DEPARTMENT = "not_for_a_department", Invalid, "A role of a department cannot have this permission.", "Bölümle sınırlı bir rolde bu yetki olamaz.";
    OTHER_DEPARTMENT = "other_department", Forbidden, "You manage users of your own department alone.", "Yalnızca kendi bölümünüzdeki kullanıcıları yönetebilirsiniz.";
    INVALID_SIGN_IN_STATE = "invalid_sign_in_state", Invalid, "This sign-in was not begun here, was finished or has expired; begin again.", "Bu giriş burada başlatılmamış, tamamlanmış ya da süresi dolmuş; yeniden başlayın.";
    PROVIDER_REFUSED = "provider_refused", Unauthenticated, "The identity provider did not confirm this sign-in.", "Kimlik sağlayıcı bu girişi doğrulamadı.";
    PROVIDER_EMAIL_UNVERIFIED = "provider_email_unverified", Forbidden, "The identity provider knows no verified address of yours that may sign in here.", "Kimlik sağlayıcıda buraya giriş yapabilecek doğrulanmış bir adresiniz yok.";
    ACCOUNT_NOT_LINKED = "account_not_linked", Conflict, "An account with this address exists whose owner has not verified it: verify the address or reset the password first.", "Bu adresle doğrulanmamış bir hesap var: önce adresi doğrulayın ya da parolayı sıfırlayın.";
    // catalog
    CATEGORY_IN_USE = "category_in_use", Conflict, "Courses use this category.", "Bu kategoriyi kullanan dersler var.";
    CATEGORY_EXISTS = "category_exists", Conflict, "A category with this name exists.", "Bu adla bir kategori var.";
    UNKNOWN_CATEGORY = "unknown_category", Invalid, "There is no such category.", "Böyle bir kategori yok.";
    UNKNOWN_TOPIC = "unknown_topic", Invalid, "There is no such topic in this course.", "Bu derste böyle bir konu yok.";
    UNKNOWN_TEACHER = "unknown_teacher", Invalid, "There is no such teacher.", "Böyle bir öğretmen yok.";
    UNKNOWN_PREREQUISITE = "unknown_prerequisite", Invalid, "A prerequisite does not exist or leads back to the course.", "Bir ön koşul yok ya da derse geri dönüyor.";
    VIDEO_EXISTS = "video_exists", Conflict, "The course has this YouTube video already.", "Bu YouTube videosu derste zaten var.";
    COURSE_ARCHIVED = "course_archived", Conflict, "The course is archived.", "Ders arşivlenmiş.";
    // enrollment
    EMAIL_NOT_VERIFIED = "email_not_verified", Forbidden, "Verify your e-mail address first.", "Önce e-posta adresinizi doğrulayın.";
    COURSE_FULL = "course_full", Conflict, "All seats of the course are taken.", "Dersin kontenjanı dolu.";
    PREREQUISITE_MISSING = "prerequisite_missing", Conflict, "A course that has to be completed first is missing.", "Önce tamamlanması gereken bir ders eksik.";
    ILLEGAL_TRANSITION = "illegal_transition", Conflict, "The enrolment cannot move to that state.", "Kayıt bu duruma geçemez.";
    ENROLLMENT_SUSPENDED = "enrollment_suspended", Conflict, "The enrolment is suspended.", "Kayıt askıya alınmış.";
    NOT_ENROLLED = "not_enrolled", Forbidden, "You are not enrolled in this course.", "Bu derse kayıtlı değilsiniz.";
    SECTION_REQUIRED = "section_required", Conflict, "The course is given in several sections; choose one.", "Ders birden çok şubede veriliyor; birini seçin.";
    SECTION_CLOSED = "section_closed", Conflict, "The section is over.", "Şube sona ermiş.";
    SECTION_FULL = "section_full", Conflict, "All seats of the section are taken.", "Şubenin kontenjanı dolu.";
    SECTION_EXISTS = "section_exists", Conflict, "The course has a section of that name in that term.", "Derste bu dönemde bu adla bir şube var.";
    SECTION_IN_USE = "section_in_use", Conflict, "Students are in this section.", "Bu şubede öğrenciler var.";
    UNKNOWN_SECTION = "unknown_section", Invalid, "The course has no such section.", "Derste böyle bir şube yok.";
    // exam
    EXAM_NOT_OPEN = "exam_not_open", Conflict, "The exam cannot be begun now.", "Sınava şu anda başlanamaz.";
    ATTEMPTS_EXHAUSTED = "attempts_exhausted", Conflict, "All attempts at the exam are used up.", "Sınav için deneme hakkı kalmadı.";
    COOLDOWN_ACTIVE = "cooldown_active", Conflict, "The next attempt cannot begin yet.", "Sonraki denemeye henüz başlanamaz.";
    ATTEMPT_CLOSED = "attempt_closed", Conflict, "The attempt is over.", "Deneme sona ermiş.";
    ATTEMPT_OPEN = "attempt_open", Conflict, "The attempt is still going on.", "Deneme sürüyor.";
    EXAM_HAS_NO_QUESTIONS = "exam_has_no_questions", Conflict, "The exam has no questions, or fewer in the bank than it draws.", "Sınavda soru yok ya da bankada çekilecek kadar soru yok.";
    EXAM_ARCHIVED = "exam_archived", Conflict, "The exam is archived.", "Sınav arşivlenmiş.";
    // notification
    TOO_MANY_WEBHOOKS = "too_many_webhooks", Conflict, "There are as many webhooks as there may be.", "İzin verilen webhook sayısına ulaşıldı.";
    WEBHOOK_INACTIVE = "webhook_inactive", Conflict, "The webhook is turned off.", "Webhook kapalı.";
    UNKNOWN_USER = "unknown_user", Invalid, "There is no such user.", "Böyle bir kullanıcı yok.";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_snake_case() {
        let mut names: Vec<_> = ALL.iter().map(|code| code.name).collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
        assert!(
            names
                .iter()
                .all(|n| n.chars().all(|c| c.is_ascii_lowercase() || c == '_'))
        );
    }

    #[test]
    fn every_code_is_found_by_its_name() {
        for code in ALL {
            assert_eq!(by_name(code.name), Some(*code));
        }
        assert_eq!(by_name("nonsense"), None);
    }
}
