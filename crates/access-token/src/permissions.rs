//! What a role may allow. The names are part of the public contract.

pub const USERS_READ: &str = "users:read";
pub const USERS_WRITE: &str = "users:write";
pub const ROLES_READ: &str = "roles:read";
pub const ROLES_WRITE: &str = "roles:write";
pub const AUDIT_READ: &str = "audit:read";
/// Acting as another user.
pub const USERS_IMPERSONATE: &str = "users:impersonate";
/// Exports and erasures of what is held of others.
pub const PERSONAL_DATA_MANAGE: &str = "personal-data:manage";
/// Service accounts of programs that use the API.
pub const INTEGRATIONS_MANAGE: &str = "integrations:manage";
/// One's own courses.
pub const COURSES_WRITE: &str = "courses:write";
/// Every course.
pub const COURSES_MANAGE: &str = "courses:manage";
pub const CATEGORIES_WRITE: &str = "categories:write";
/// Enrolling oneself.
pub const ENROLLMENTS_ENROLL: &str = "enrollments:enroll";
/// Rosters of one's own courses; with `courses:manage`, of every course.
pub const ENROLLMENTS_MANAGE: &str = "enrollments:manage";
/// Exams of one's own courses; with `courses:manage`, of every course.
pub const EXAMS_MANAGE: &str = "exams:manage";
/// Announcements to one's own courses; with `courses:manage`, to every course.
pub const ANNOUNCEMENTS_WRITE: &str = "announcements:write";

/// Every permission there is.
pub const ALL: &[&str] = &[
    USERS_READ,
    USERS_WRITE,
    ROLES_READ,
    ROLES_WRITE,
    AUDIT_READ,
    USERS_IMPERSONATE,
    PERSONAL_DATA_MANAGE,
    INTEGRATIONS_MANAGE,
    COURSES_WRITE,
    COURSES_MANAGE,
    CATEGORIES_WRITE,
    ENROLLMENTS_ENROLL,
    ENROLLMENTS_MANAGE,
    EXAMS_MANAGE,
    ANNOUNCEMENTS_WRITE,
];

/// What concerns nobody but its holder: whoever manages accounts may give it without having it.
pub const PERSONAL: &[&str] = &[ENROLLMENTS_ENROLL];

/// What reaches over the accounts of others, and ends at a department in a role of one.
pub const OVER_USERS: &[&str] = &[USERS_READ, USERS_WRITE, USERS_IMPERSONATE];

/// What knows no departments: a role of a department cannot have it.
pub const UNBOUNDED: &[&str] = &[
    ROLES_WRITE,
    AUDIT_READ,
    PERSONAL_DATA_MANAGE,
    INTEGRATIONS_MANAGE,
    COURSES_MANAGE,
    CATEGORIES_WRITE,
];

/// The first of the wanted permissions that one would have to have to give it, and has not.
pub fn lacking<'a>(own: &[String], wanted: &'a [String]) -> Option<&'a str> {
    wanted
        .iter()
        .find(|wanted| !own.contains(wanted) && !PERSONAL.contains(&wanted.as_str()))
        .map(String::as_str)
}

/// Permissions that are in both.
pub fn common(one: &[String], other: &[String]) -> Vec<String> {
    one.iter().filter(|p| other.contains(p)).cloned().collect()
}

/// What the three roles of a new installation may do.
pub fn defaults(role: &str) -> &'static [&'static str] {
    match role {
        "student" => &[ENROLLMENTS_ENROLL],
        "teacher" => &[
            COURSES_WRITE,
            ENROLLMENTS_MANAGE,
            EXAMS_MANAGE,
            ANNOUNCEMENTS_WRITE,
        ],
        "admin" => &[
            USERS_READ,
            USERS_WRITE,
            ROLES_READ,
            ROLES_WRITE,
            AUDIT_READ,
            USERS_IMPERSONATE,
            PERSONAL_DATA_MANAGE,
            INTEGRATIONS_MANAGE,
            COURSES_WRITE,
            COURSES_MANAGE,
            CATEGORIES_WRITE,
            ENROLLMENTS_MANAGE,
            EXAMS_MANAGE,
            ANNOUNCEMENTS_WRITE,
        ],
        _ => &[],
    }
}
