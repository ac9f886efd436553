//! The demo accounts and courses: the same everywhere, known by heart, and never in production.

use anyhow::{Result, ensure};
use typed_id::{CourseId, UserId};
use uuid::Uuid;

use crate::Environment;

pub const PASSWORD: &str = "demo-demo-demo";

/// A demo account.
#[derive(Debug, Clone, Copy)]
pub struct Account {
    pub id: UserId,
    pub email: &'static str,
    pub full_name: &'static str,
    pub role: &'static str,
}

const fn id(last: u128) -> Uuid {
    // A UUIDv7 of 2024-12-24, the day of the first design document.
    Uuid::from_u128(0x0193_f6a0_0000_7000_8000_0000_0000_0000 | last)
}

pub const STUDENT: Account = Account {
    id: UserId(id(1)),
    email: "student@demo.test",
    full_name: "Ada Öğrenci",
    role: "student",
};
pub const TEACHER: Account = Account {
    id: UserId(id(2)),
    email: "teacher@demo.test",
    full_name: "Deniz Öğretmen",
    role: "teacher",
};
pub const ADMIN: Account = Account {
    id: UserId(id(3)),
    email: "admin@demo.test",
    full_name: "Işıl Yönetici",
    role: "admin",
};

pub const ACCOUNTS: [Account; 3] = [STUDENT, TEACHER, ADMIN];

/// The id of the n-th demo course, from 1.
pub const fn course(n: u16) -> CourseId {
    CourseId(id(0x1_0000 + n as u128))
}

/// The id of some other demo thing, by a number of the caller's choice.
pub const fn thing(n: u32) -> Uuid {
    id(0x1_0000_0000 + n as u128)
}

pub fn refuse_in_production(env: Environment) -> Result<()> {
    ensure!(
        env != Environment::Production,
        "demo accounts have a public password: refused in production"
    );
    Ok(())
}
