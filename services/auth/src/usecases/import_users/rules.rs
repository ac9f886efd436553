//! Which lines are taken, and what becomes of the accounts that they are of.

use std::collections::HashMap;

use people_files::PersonRow;
use problem::Problem;
use typed_id::UserId;

use super::Line;
use crate::app::Auth;
use crate::domain::{email, foreign_hash};
use crate::storage::imports::{Known, Wanted};
use crate::storage::roles::{self, Role};
use crate::usecases::audit::Actor;
use crate::usecases::reach::Reach;

const MAX_EMAIL_CHARS: usize = 254;
const MAX_TEXT_CHARS: usize = 200;

/// A row that the school can take.
#[derive(Debug, Clone)]
pub struct Accepted {
    pub line: u64,
    pub wanted: Wanted,
    pub hash: Option<String>,
    pub deactivate: bool,
}

/// Why a line is not taken.
pub type Refusal = (&'static str, &'static str);

const NOT_THEIRS: Refusal = (
    "email.other_department",
    "you manage users of your own department alone",
);
const ADMIN: Refusal = ("role.admin", "admins are not deactivated by files");
const BEYOND: Refusal = ("role.beyond", "the role has permissions that you lack");

/// Whose file it is, and what roles there are.
pub struct Importer {
    reach: Reach,
    roles: HashMap<String, Role>,
}

impl Importer {
    pub async fn of(app: &Auth, owner: UserId, impersonator: Option<UserId>) -> Result<Self, Problem> {
        let actor = Actor {
            impersonator,
            ..Actor::user(owner)
        };
        let reach = Reach::of_account(app.db.primary(), owner.0, actor).await?;
        let roles = roles::all(app.db.primary()).await.map_err(postgres::problem_of)?;
        let roles = roles.into_iter().map(|role| (role.name.clone(), role)).collect();
        Ok(Self { reach, roles })
    }

    pub fn actor(&self) -> Actor {
        self.reach.actor
    }

    fn holds(&self, role: &str) -> bool {
        self.roles.get(role).is_some_and(|role| self.reach.holds(role))
    }

    /// What becomes of the account that a line is of.
    pub fn judge(&self, row: &Accepted, found: &Known) -> Result<Verdict, Refusal> {
        if !self.reach.covers(&found.department) {
            return Err(NOT_THEIRS);
        }
        if row.deactivate && found.role == "admin" {
            return Err(ADMIN);
        }
        let verdict = match merged(found, &row.wanted) {
            _ if row.deactivate && found.is_active => Verdict::Deactivate,
            Some(wanted) if !row.deactivate => Verdict::Update(wanted),
            _ => Verdict::Leave,
        };
        if !matches!(verdict, Verdict::Leave) && !self.holds(&found.role) {
            return Err(BEYOND);
        }
        Ok(verdict)
    }

    pub fn check(&self, row: &PersonRow) -> Result<Accepted, Line> {
        checked(row, self).map_err(|(code, detail)| Line {
            line: row.line,
            email: row.email.clone(),
            outcome: "refused",
            code: code.to_owned(),
            detail: detail.to_owned(),
        })
    }
}

pub enum Verdict {
    Leave,
    Update(Wanted),
    Deactivate,
}

fn checked(row: &PersonRow, importer: &Importer) -> Result<Accepted, Refusal> {
    let role = row.role.clone().unwrap_or_else(|| "student".to_owned());
    // A file is no place to make somebody an admin.
    if role == "admin" || !importer.roles.contains_key(&role) {
        return Err(("role.unknown", "has to be a role of the school other than admin"));
    }
    if !importer.holds(&role) {
        return Err(BEYOND);
    }
    let address = row.email.trim();
    if address.chars().count() > MAX_EMAIL_CHARS || !contracts::validate::is_email(address) {
        return Err(("email.invalid", "has to be an e-mail address"));
    }
    let text = |value: &Option<String>| value.as_deref().unwrap_or_default().trim().to_owned();
    let (mut department, student_id) = (text(&row.department), text(&row.student_id));
    if department.is_empty() {
        importer
            .reach
            .department()
            .unwrap_or_default()
            .clone_into(&mut department);
    }
    if !importer.reach.covers(&department) {
        return Err(("department.other", NOT_THEIRS.1));
    }
    let name = row.full_name.trim().to_owned();
    if name.is_empty()
        || [&name, &department, &student_id]
            .iter()
            .any(|t| t.chars().count() > MAX_TEXT_CHARS)
    {
        return Err(("full_name.invalid", "names are 1 to 200 characters long"));
    }
    if row
        .password_hash
        .as_deref()
        .is_some_and(|hash| !foreign_hash::is_known(hash))
    {
        return Err((
            "password_hash.unknown",
            "is no hash of a kind that can be verified",
        ));
    }
    let locale = row
        .locale
        .clone()
        .filter(|locale| locale == "en")
        .unwrap_or_else(|| "tr".to_owned());
    Ok(Accepted {
        line: row.line,
        wanted: Wanted {
            email: address.to_owned(),
            email_key: email::key(address),
            full_name: name,
            role,
            locale,
            department,
            student_id,
            external_id: text(&row.external_id),
        },
        hash: row.password_hash.clone(),
        deactivate: row.deactivate,
    })
}

/// What the account is to be; `None` when it is that already. What the file does not say stays.
fn merged(known: &Known, wanted: &Wanted) -> Option<Wanted> {
    let or = |new: &String, old: &String| if new.is_empty() { old.clone() } else { new.clone() };
    let merged = Wanted {
        full_name: wanted.full_name.clone(),
        department: or(&wanted.department, &known.department),
        student_id: or(&wanted.student_id, &known.student_id),
        external_id: or(&wanted.external_id, &known.external_id),
        ..wanted.clone()
    };
    let same = merged.full_name == known.full_name
        && merged.department == known.department
        && merged.student_id == known.student_id
        && merged.external_id == known.external_id;
    (!same).then_some(merged)
}
