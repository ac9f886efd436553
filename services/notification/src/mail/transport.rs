//! The way out: SMTP, or one file a mail in development.

use std::path::{Path, PathBuf};

use lettre::message::header::HeaderName;
use lettre::message::{Mailbox, MultiPart, header::HeaderValue};
use lettre::{AsyncSmtpTransport, AsyncTransport, Message, Tokio1Executor};
use secrecy::ExposeSecret;

use crate::config::{MailSettings, TransportKind};
use crate::storage::mails::Mail;

#[derive(Debug, thiserror::Error)]
pub enum SendError {
    /// Trying again cannot help.
    #[error("the mail cannot be written: {0}")]
    Unwritable(String),
    /// The server said that this mail will never be taken.
    #[error("the server refused the mail: {0}")]
    Refused(lettre::transport::smtp::Error),
    /// The server answered that it cannot take this mail now.
    #[error("the server put the mail off: {0}")]
    PutOff(lettre::transport::smtp::Error),
    #[error("the server could not be used: {0}")]
    Smtp(lettre::transport::smtp::Error),
    #[error("the file could not be written: {0}")]
    File(#[from] std::io::Error),
}

impl SendError {
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Unwritable(_) | Self::Refused(_))
    }

    /// Not this mail's fault: any other would have failed too.
    pub fn is_of_the_way(&self) -> bool {
        matches!(self, Self::Smtp(_) | Self::File(_))
    }
}

#[derive(Debug, Clone)]
pub struct Transport {
    from: Mailbox,
    way: Way,
}

#[derive(Debug, Clone)]
enum Way {
    File(PathBuf),
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
}

impl Transport {
    pub fn new(settings: &MailSettings) -> anyhow::Result<Self> {
        let way = match settings.transport {
            TransportKind::File => {
                std::fs::create_dir_all(&settings.directory)?;
                Way::File(settings.directory.clone())
            }
            TransportKind::Smtp => {
                let url = settings.smtp_url.expose_secret();
                Way::Smtp(AsyncSmtpTransport::<Tokio1Executor>::from_url(url)?.build())
            }
        };
        Ok(Self {
            from: settings.from.parse()?,
            way,
        })
    }

    /// Sends a mail. Its Message-ID is its id, so that a repetition after a crash is the same mail.
    pub async fn send(&self, mail: &Mail, unsubscribe: Option<&str>) -> Result<(), SendError> {
        let message = self
            .message(mail, unsubscribe)
            .map_err(|fault| SendError::Unwritable(fault.to_string()))?;
        match &self.way {
            Way::File(directory) => {
                write_file(directory, &format!("{}.eml", mail.id), &message.formatted()).await
            }
            Way::Smtp(server) => match server.send(message).await {
                Ok(_) => Ok(()),
                Err(fault) if is_about_us(&fault) => Err(SendError::Smtp(fault)),
                Err(fault) if fault.is_permanent() => Err(SendError::Refused(fault)),
                Err(fault) if fault.is_transient() => Err(SendError::PutOff(fault)),
                Err(fault) => Err(SendError::Smtp(fault)),
            },
        }
    }

    fn message(
        &self,
        mail: &Mail,
        unsubscribe: Option<&str>,
    ) -> Result<Message, Box<dyn std::error::Error + Send + Sync>> {
        let name = Some(one_line(&mail.recipient_name)).filter(|name| !name.is_empty());
        let to = Mailbox::new(name, mail.address.parse()?);
        let mut builder = Message::builder()
            .from(self.from.clone())
            .to(to)
            .date(mail.created_at.into())
            .message_id(Some(format!("<{}@{}>", mail.id, self.from.email.domain())))
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("X-Mail-Kind"),
                mail.kind.clone(),
            ))
            // Asks out-of-office robots not to answer (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .subject(one_line(&mail.content.subject));
        if let Some(address) = unsubscribe {
            // RFC 8058: one click in the mail program, without a page in between.
            builder = builder
                .raw_header(HeaderValue::new(
                    HeaderName::new_from_ascii_str("List-Unsubscribe"),
                    format!("<{address}>"),
                ))
                .raw_header(HeaderValue::new(
                    HeaderName::new_from_ascii_str("List-Unsubscribe-Post"),
                    "List-Unsubscribe=One-Click".to_owned(),
                ));
        }
        Ok(builder.multipart(MultiPart::alternative_plain_html(
            mail.content.text.clone(),
            mail.content.html.clone(),
        ))?)
    }
}

/// The server closes, or does not know us (RFC 4954): it says nothing of the mail.
fn is_about_us(fault: &lettre::transport::smtp::Error) -> bool {
    let code = fault.status().map(u16::from);
    code.is_some_and(|code| matches!(code, 421 | 454 | 530 | 534 | 535 | 538))
}

/// Names and subjects are headers: a line break in them must not begin another one.
fn one_line(text: &str) -> String {
    text.split(|c: char| c.is_control())
        .map(str::trim)
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

/// Whole or not at all: a reader of the folder never sees half a mail.
async fn write_file(directory: &Path, name: &str, content: &[u8]) -> Result<(), SendError> {
    let partial = directory.join(format!(".{name}.partial"));
    tokio::fs::write(&partial, content).await?;
    tokio::fs::rename(&partial, directory.join(name)).await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::texts::MailContent;
    use time::OffsetDateTime;
    use typed_id::{MailId, UserId};

    fn mail(name: &str, subject: &str) -> Mail {
        let created_at = OffsetDateTime::from_unix_timestamp(1_800_000_000).unwrap();
        Mail {
            id: MailId::new(created_at),
            user_id: UserId::new(created_at),
            topic: "account".into(),
            kind: "welcome".into(),
            address: "ada@example.edu".into(),
            recipient_name: name.into(),
            content: MailContent {
                subject: subject.into(),
                text: "Merhaba".into(),
                html: "<p>Merhaba</p>".into(),
            },
            created_at,
            attempts: 1,
        }
    }

    fn file_transport(directory: &Path) -> Transport {
        Transport::new(&MailSettings {
            transport: TransportKind::File,
            directory: directory.to_owned(),
            smtp_url: String::new().into(),
            from: "Student Coaching <no-reply@studentcoaching.test>".into(),
            concurrency: 1,
            max_attempts: 1,
            hourly_cap: 10,
        })
        .unwrap()
    }

    #[tokio::test]
    async fn sending_a_mail_again_leaves_one_file() {
        let folder = tempfile::tempdir().unwrap();
        let transport = file_transport(folder.path());
        let mail = mail("Şule Öğretmen", "Hoş geldiniz");
        transport.send(&mail, None).await.unwrap();
        transport.send(&mail, None).await.unwrap();
        let files: Vec<_> = std::fs::read_dir(folder.path())
            .unwrap()
            .map(|f| f.unwrap().file_name())
            .collect();
        assert_eq!(files, [std::ffi::OsString::from(format!("{}.eml", mail.id))]);
    }

    #[tokio::test]
    async fn the_link_to_unsubscribe_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let transport = file_transport(folder.path());
        let mail = mail("Ada", "Hi");
        let address = format!(
            "https://school.test/api/v1/notifications/unsubscribe?token={}",
            "a1_-".repeat(60)
        );
        transport.send(&mail, Some(&address)).await.unwrap();
        let text = std::fs::read_to_string(folder.path().join(format!("{}.eml", mail.id))).unwrap();
        let unfolded = text.replace("\r\n ", " ");
        assert!(
            unfolded.contains(&format!("List-Unsubscribe: <{address}>\r\n")),
            "{text}"
        );
        assert!(
            unfolded.contains("List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"),
            "{text}"
        );
    }

    #[tokio::test]
    async fn a_name_or_subject_cannot_add_a_header() {
        let folder = tempfile::tempdir().unwrap();
        let transport = file_transport(folder.path());
        let mail = mail("Ada\r\nBcc: all@example.edu", "Hi\r\nBcc: all@example.edu");
        transport.send(&mail, None).await.unwrap();
        let text = std::fs::read_to_string(folder.path().join(format!("{}.eml", mail.id))).unwrap();
        let head = text.split("\r\n\r\n").next().unwrap();
        assert!(
            !head
                .lines()
                .any(|line| line.to_ascii_lowercase().starts_with("bcc:")),
            "{head}"
        );
    }
}
