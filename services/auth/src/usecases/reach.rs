//! How far a caller's hand reaches over the accounts of others: nobody gives, takes or becomes what they lack, and a role of a
//! department ends at its department.

use access_token::{Caller, permissions};
use postgres::{WriteError, WriteTx};
use problem::{Problem, codes};
use sqlx::PgExecutor;
use typed_id::UserId;
use uuid::Uuid;

use super::audit::Actor;
use crate::app::Auth;
use crate::storage::reach::{self, Standing};
use crate::storage::roles::{self, Role};
use crate::storage::users::{self, User};

const ADMIN: &str = "admin";

/// Who acts on the accounts of others, and on which of them.
#[derive(Debug, Clone)]
pub struct Reach {
    pub actor: Actor,
    /// `None`: an admin's, who could give themselves what they lack, or the system's own.
    permissions: Option<Vec<String>>,
    /// `None`: every department. Empty: none.
    department: Option<String>,
}

impl Reach {
    /// The system itself.
    pub const SYSTEM: Self = Self {
        actor: Actor::NOBODY,
        permissions: None,
        department: None,
    };

    /// A person in their own affairs.
    pub fn own(actor: Actor) -> Self {
        Self {
            actor,
            ..Self::SYSTEM
        }
    }

    /// As the database knows the caller now, whatever their token says.
    pub async fn of(app: &Auth, caller: &Caller) -> Result<Self, Problem> {
        let id = caller.user()?.id.0;
        Self::of_account(app.db.primary(), id, Actor::of(caller)).await
    }

    /// Of a person or a program by its id, such as the owner of an operation that goes on without them.
    pub async fn of_account(db: impl PgExecutor<'_>, id: Uuid, actor: Actor) -> Result<Self, Problem> {
        let standing = reach::of(db, id).await.map_err(postgres::problem_of)?;
        let standing = standing.ok_or_else(|| Problem::new(&codes::PERMISSION_DENIED))?;
        Ok(Self::from_standing(standing, actor))
    }

    fn from_standing(standing: Standing, actor: Actor) -> Self {
        let department = standing.department_scoped.then_some(standing.department);
        let permissions = match standing.program {
            None if standing.role == ADMIN => None,
            None => Some(standing.permissions),
            Some(given) => Some(permissions::common(&given, &standing.permissions)),
        };
        Self {
            actor,
            permissions,
            department,
        }
    }

    /// The one department, where there is but one; empty for none at all.
    pub fn department(&self) -> Option<&str> {
        self.department.as_deref()
    }

    pub fn covers(&self, department: &str) -> bool {
        self.department
            .as_deref()
            .is_none_or(|own| !own.is_empty() && own == department)
    }

    /// What one may not know of is not there.
    pub fn find(&self, user: Option<User>) -> Result<User, Problem> {
        user.filter(|user| self.covers(&user.department))
            .ok_or_else(|| Problem::new(&codes::NOT_FOUND))
    }

    /// The account of somebody who has nothing that the caller lacks, under its lock.
    pub async fn lock_managed(&self, tx: &mut WriteTx, id: UserId) -> Result<User, ReachError> {
        let user = users::lock(tx, id).await?;
        let user = user
            .filter(|user| self.covers(&user.department))
            .ok_or(ReachError::NotFound)?;
        match roles::share(tx, &user.role).await? {
            Some(role) if self.holds(&role) => Ok(user),
            _ => Err(ReachError::MoreThanCaller),
        }
    }

    /// Whether a role has nothing that the caller lacks; such a role they may give, take and edit.
    pub fn holds(&self, role: &Role) -> bool {
        let Some(own) = &self.permissions else {
            return true;
        };
        let is_wider = self.department.is_some()
            && !role.department_scoped
            && role
                .permissions
                .iter()
                .any(|p| permissions::OVER_USERS.contains(&p.as_str()));
        // Whoever is in the role admin could give themselves all there is.
        role.name != ADMIN && !is_wider && permissions::lacking(own, &role.permissions).is_none()
    }
}

#[derive(Debug, thiserror::Error)]
pub enum ReachError {
    #[error("there is no such user, as far as the caller may know")]
    NotFound,
    #[error("the user has more than the caller")]
    MoreThanCaller,
    #[error(transparent)]
    Write(#[from] WriteError),
}

impl From<sqlx::Error> for ReachError {
    fn from(fault: sqlx::Error) -> Self {
        Self::Write(fault.into())
    }
}

impl From<ReachError> for Problem {
    fn from(fault: ReachError) -> Self {
        match fault {
            ReachError::NotFound => Self::new(&codes::NOT_FOUND),
            ReachError::MoreThanCaller => Self::new(&codes::MORE_THAN_YOURS),
            ReachError::Write(fault) => fault.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn role(name: &str, permissions: &[&str], department_scoped: bool) -> Role {
        Role {
            name: name.into(),
            permissions: permissions.iter().map(|p| (*p).to_owned()).collect(),
            require_totp: false,
            department_scoped,
        }
    }

    fn reach(permissions: &[&str], department: Option<&str>) -> Reach {
        Reach {
            permissions: Some(permissions.iter().map(|p| (*p).to_owned()).collect()),
            department: department.map(str::to_owned),
            ..Reach::SYSTEM
        }
    }

    #[test]
    fn nobody_gives_what_they_lack() {
        let own = reach(&["users:write", "courses:write"], None);
        for (wanted, holds) in [
            (role("x", &["courses:write"], false), true),
            (role("x", &[], false), true),
            // Concerns its holder alone.
            (role("x", &["enrollments:enroll"], false), true),
            (role("x", &["courses:write", "roles:write"], false), false),
            (role("admin", &[], false), false),
        ] {
            assert_eq!(own.holds(&wanted), holds, "{wanted:?}");
            assert!(Reach::SYSTEM.holds(&wanted));
        }
    }

    #[test]
    fn a_department_ends_where_it_ends() {
        let own = reach(&["users:read", "users:write", "courses:write"], Some("Fizik"));
        assert!(own.covers("Fizik") && !own.covers("Kimya") && !own.covers(""));
        assert!(own.holds(&role("x", &["users:read"], true)));
        assert!(own.holds(&role("x", &["courses:write"], false)));
        // The same permission over everybody is more.
        assert!(!own.holds(&role("x", &["users:read"], false)));
        // Who belongs to no department sees nobody, rather than all who belong to none.
        assert!(!reach(&["users:read"], Some("")).covers(""));
    }
}
