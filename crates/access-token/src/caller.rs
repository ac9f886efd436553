use std::ops::Deref;
use std::sync::Arc;

use problem::{Problem, codes};
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use typed_id::{SessionId, UserId};

use crate::permissions;

/// Who calls.
#[derive(Debug, Clone)]
pub enum Caller {
    Anonymous,
    User(Arc<User>),
    /// Another process of ours, by its name.
    Service(Arc<str>),
}

impl Caller {
    /// The signed-in user.
    pub fn user(&self) -> Result<&User, Problem> {
        match self {
            Self::User(user) => Ok(user),
            _ => Err(Problem::new(&codes::UNAUTHENTICATED)),
        }
    }

    /// The signed-in user in person: what concerns the account itself is nothing for who acts in their name.
    pub fn in_person(&self) -> Result<&User, Problem> {
        let user = self.user()?;
        if user.impersonator.is_some() {
            return Err(Problem::new(&codes::PERMISSION_DENIED));
        }
        Ok(user)
    }

    /// Whether the caller's token carries the permission.
    pub fn has(&self, permission: &str) -> bool {
        matches!(self, Self::User(user) if user.has(permission))
    }
}

/// A signed-in user, as the token tells.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct User {
    pub id: UserId,
    pub session_id: SessionId,
    /// Who acts as this user.
    pub impersonator: Option<UserId>,
    pub token_id: String,
    /// The key that the token was signed with.
    #[serde(default)]
    pub key_id: String,
    pub roles: Vec<String>,
    pub permissions: Granted,
    /// To the microsecond: a token issued in the second of a revocation is judged rightly.
    pub issued_at: OffsetDateTime,
    pub expires_at: OffsetDateTime,
}

impl User {
    pub fn has(&self, permission: &str) -> bool {
        self.permissions.iter().any(|own| own == permission)
    }

    /// Whether they are staff of a course that `teacher` teaches: that teacher, or one who manages every course. Who teaches and may
    /// write courses no more is not, as one whose role asks for a second factor that they have not given.
    pub fn is_staff_of(&self, teacher: UserId) -> bool {
        self.has(permissions::COURSES_MANAGE) || (self.id == teacher && self.has(permissions::COURSES_WRITE))
    }
}

/// The permissions that a token carries. Those with the same ones share them: a role has thousands of bearers.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(from = "Vec<String>", into = "Vec<String>")]
pub struct Granted(Arc<[String]>);

impl From<Vec<String>> for Granted {
    fn from(permissions: Vec<String>) -> Self {
        Self(permissions.into())
    }
}

impl From<Granted> for Vec<String> {
    fn from(granted: Granted) -> Self {
        granted.to_vec()
    }
}

impl Deref for Granted {
    type Target = [String];

    fn deref(&self) -> &[String] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use time::OffsetDateTime;

    use super::*;

    #[test]
    fn staff_of_a_course_is_who_teaches_it_and_may_write_or_manages_all() {
        let now = OffsetDateTime::UNIX_EPOCH;
        let (ada, berk) = (UserId::new(now), UserId::new(now));
        let is_staff = |permissions: &[&str], teacher| {
            let user = User {
                id: ada,
                session_id: SessionId::new(now),
                impersonator: None,
                token_id: String::new(),
                key_id: String::new(),
                roles: Vec::new(),
                permissions: permissions
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .into(),
                issued_at: now,
                expires_at: now,
            };
            user.is_staff_of(teacher)
        };
        assert!(is_staff(&[permissions::COURSES_WRITE], ada));
        assert!(!is_staff(&[permissions::COURSES_WRITE], berk));
        assert!(!is_staff(&[], ada), "a role was taken away");
        assert!(is_staff(&[permissions::COURSES_MANAGE], berk));
    }
}
