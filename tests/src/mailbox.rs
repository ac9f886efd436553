//! The mails that the stack wrote, as their recipients would read them.

use std::path::{Path, PathBuf};

/// A folder of `.eml` files.
#[derive(Debug, Clone)]
pub struct Mailbox {
    folder: PathBuf,
}

/// A mail, decoded as far as tests need it.
#[derive(Debug, Clone)]
pub struct Mail {
    pub to: String,
    /// The `X-Mail-Kind` header: which mail it is.
    pub kind: String,
    pub text: String,
}

impl Mailbox {
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// All mails to an address, of one kind.
    pub fn find(&self, to: &str, kind: &str) -> Vec<Mail> {
        self.all()
            .into_iter()
            .filter(|mail| mail.to.contains(to) && mail.kind == kind)
            .collect()
    }

    pub fn all(&self) -> Vec<Mail> {
        let Ok(entries) = std::fs::read_dir(&self.folder) else {
            return Vec::new();
        };
        entries
            .filter_map(|entry| entry.ok().map(|e| e.path()))
            .filter(|path| path.extension().is_some_and(|e| e == "eml"))
            .filter_map(|path| std::fs::read_to_string(path).ok())
            .map(|raw| parse(&raw))
            .collect()
    }
}

fn parse(raw: &str) -> Mail {
    let (head, body) = raw.split_once("\r\n\r\n").unwrap_or((raw, ""));
    let header = |name: &str| {
        let line = head
            .lines()
            .find(|l| l.to_ascii_lowercase().starts_with(&format!("{name}:")));
        line.and_then(|l| l.split_once(':'))
            .map(|(_, value)| value.trim().to_owned())
            .unwrap_or_default()
    };
    Mail {
        to: header("to"),
        kind: header("x-mail-kind"),
        text: unquote(body),
    }
}

/// Undoes quoted-printable: soft line breaks and `=3D`; enough to read a link.
fn unquote(body: &str) -> String {
    body.replace("=\r\n", "").replace("=3D", "=")
}

impl Mail {
    /// The one-time token in the fragment of the mail's link.
    #[track_caller]
    pub fn token(&self) -> String {
        let (_, rest) = self
            .text
            .split_once("#token=")
            .unwrap_or_else(|| panic!("no link in {}", self.text));
        rest.chars()
            .take_while(|c| c.is_ascii_alphanumeric() || "_-".contains(*c))
            .collect()
    }
}
