//! Where the buttons of mails lead.

/// Addresses below the public one.
#[derive(Debug, Clone)]
pub struct Links {
    base: String,
}

impl Links {
    pub fn new(public_url: &str) -> Self {
        Self {
            base: public_url.trim_end_matches('/').to_owned(),
        }
    }

    /// The token stands behind `#`, which browsers send to nobody: it stays out of access logs and Referer headers.
    pub fn verify_email(&self, token: &str) -> String {
        format!("{}/verify-email#token={token}", self.base)
    }

    pub fn confirm_email(&self, token: &str) -> String {
        format!("{}/confirm-email#token={token}", self.base)
    }

    pub fn reset_password(&self, token: &str) -> String {
        format!("{}/reset-password#token={token}", self.base)
    }

    /// For mail programs (RFC 8058), which send its query with a POST.
    pub fn unsubscribe(&self, token: &str) -> String {
        format!("{}/api/v1/notifications/unsubscribe?token={token}", self.base)
    }

    pub fn catalog(&self) -> String {
        format!("{}/courses", self.base)
    }

    pub fn course(&self, id: &str) -> String {
        format!("{}/courses/{id}", self.base)
    }

    pub fn exam_result(&self, attempt: &str) -> String {
        format!("{}/exam-attempts/{attempt}/result", self.base)
    }
}
