use std::path::PathBuf;

use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use service_runtime::{Check, Faults};

#[derive(Debug, Deserialize)]
pub struct Settings {
    pub keys: KeySettings,
    pub mail: MailSettings,
    pub notifications: NotificationSettings,
    pub webhooks: WebhookSettings,
}

#[derive(Debug, Clone, Deserialize)]
pub struct KeySettings {
    pub encryption_key: SecretString,
}

impl KeySettings {
    /// `None` when it is not 32 bytes in base64.
    pub fn bytes(&self) -> Option<[u8; 32]> {
        sealed::key(self.encryption_key.expose_secret())
    }
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct NotificationSettings {
    pub keep_read_months: u16,
    pub keep_unread_months: u16,
}

#[derive(Debug, Clone, Copy, Deserialize)]
pub struct WebhookSettings {
    pub allow_insecure: bool,
    pub concurrency: u16,
}

#[derive(Debug, Clone, Deserialize)]
pub struct MailSettings {
    pub transport: TransportKind,
    pub directory: PathBuf,
    pub smtp_url: SecretString,
    pub from: String,
    pub concurrency: u16,
    pub max_attempts: i32,
    pub hourly_cap: i32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    File,
    Smtp,
}

impl Check for Settings {
    fn check(&self, faults: &mut Faults) {
        if self.keys.bytes().is_none() {
            faults.add("keys.encryption_key", "has to be 32 bytes in base64");
        }
        if !(1..=256).contains(&self.webhooks.concurrency) {
            faults.add("webhooks.concurrency", "has to be from 1 to 256");
        }
        let notifications = &self.notifications;
        if notifications.keep_read_months < 1 {
            faults.add("notifications.keep_read_months", "has to be at least 1");
        }
        if notifications.keep_unread_months < notifications.keep_read_months {
            faults.add(
                "notifications.keep_unread_months",
                "has to be at least notifications.keep_read_months",
            );
        }
        let mail = &self.mail;
        if mail.from.parse::<lettre::message::Mailbox>().is_err() {
            faults.add("mail.from", "has to be an address, with or without a name");
        }
        if mail.transport == TransportKind::Smtp && mail.smtp_url.expose_secret().is_empty() {
            faults.add("mail.smtp_url", "is needed with mail.transport = \"smtp\"");
        }
        if !(1..=64).contains(&mail.concurrency) {
            faults.add("mail.concurrency", "has to be from 1 to 64");
        }
        if mail.hourly_cap < 1 {
            faults.add("mail.hourly_cap", "has to be at least 1");
        }
        if mail.max_attempts < 1 {
            faults.add("mail.max_attempts", "has to be at least 1");
        }
    }
}
