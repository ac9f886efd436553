//! The mails of the running stack, as far as links to verify an address go.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::PathBuf;

/// Reads each mail once.
pub struct Mails {
    folder: PathBuf,
    seen: HashSet<PathBuf>,
    /// Token by address.
    pub tokens: HashMap<String, String>,
}

impl Mails {
    pub fn new(folder: PathBuf) -> Self {
        Self {
            folder,
            seen: HashSet::new(),
            tokens: HashMap::new(),
        }
    }

    /// Looks for new ones.
    pub fn look(&mut self) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
            if path.extension().is_none_or(|extension| extension != "eml") || self.seen.contains(&path) {
                continue;
            }
            let mail = fs::read_to_string(&path).unwrap_or_default();
            match verification(&mail) {
                Some((address, token)) => self.tokens.insert(address, token),
                None if is_other(&mail) => None,
                // Being written: the next look reads it as a whole.
                None => continue,
            };
            self.seen.insert(path);
        }
    }
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then(|| value.trim())
    })
}

fn is_other(mail: &str) -> bool {
    mail.split_once("\r\n\r\n")
        .and_then(|(head, _)| header(head, "x-mail-kind"))
        .is_some_and(|kind| kind != "verify_email")
}

/// Address and token of a mail that asks to verify an address.
fn verification(mail: &str) -> Option<(String, String)> {
    let (head, body) = mail.split_once("\r\n\r\n")?;
    if header(head, "x-mail-kind")? != "verify_email" {
        return None;
    }
    // Soft line breaks and the equals sign: enough of quoted-printable to read a link.
    let body = body.replace("=\r\n", "").replace("=3D", "=");
    let (_, rest) = body.split_once("#token=")?;
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && !"_-".contains(c))?;
    let to = header(head, "to")?;
    let address = to.rsplit_once('<').map_or(to, |(_, address)| address);
    Some((address.trim_end_matches('>').to_owned(), rest[..end].to_owned()))
}
