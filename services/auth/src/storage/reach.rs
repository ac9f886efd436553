use sqlx::PgExecutor;
use uuid::Uuid;

/// What decides how far somebody's hand reaches: a person's own role, or for a program that of its maker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    pub role: String,
    pub department: String,
    pub department_scoped: bool,
    /// None where the role demands a second factor that its holder does not have.
    pub permissions: Vec<String>,
    /// What a program was given of them.
    pub program: Option<Vec<String>>,
}

/// `None` when there is no such account, or it is not active. One query.
pub async fn of(db: impl PgExecutor<'_>, id: Uuid) -> Result<Option<Standing>, sqlx::Error> {
    sqlx::query_as!(
        Standing,
        r#"SELECT u.role, u.department, r.department_scoped, s.permissions AS "program?: Vec<String>",
               CASE WHEN u.totp_enabled OR NOT r.require_totp THEN r.permissions ELSE '{}' END AS "permissions!: Vec<String>"
           FROM auth.users u
           JOIN auth.roles r ON r.name = u.role
           LEFT JOIN auth.service_accounts s ON s.id = $1
           WHERE u.id = coalesce(s.created_by, $1) AND u.is_active"#,
        id
    )
    .fetch_optional(db)
    .await
}
