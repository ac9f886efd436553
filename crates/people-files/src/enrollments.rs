//! Enrolments of a file.

use std::borrow::Cow;
use std::collections::{HashMap, VecDeque};

use crate::column::{self, Column};
use crate::fault::RowFault;
use crate::package;
use crate::people::role_of;
use crate::table::{Row, Table};

/// Which course a row is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CourseRef {
    Id(String),
    /// The other system's short name or class code.
    Code(String),
}

/// An enrolment as the file tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnrollmentRow {
    pub line: u64,
    pub email: String,
    /// Nothing when the file is about one course and does not say which.
    pub course: Option<CourseRef>,
    /// As the file has it, in lower case; `dropped` for what the other system deletes.
    pub status: Option<String>,
    /// What the person is in the course; nothing when the file does not say.
    pub role: Option<String>,
}

/// The enrolments of a CSV file, or of the `enrollments.csv` of a OneRoster package.
pub struct Enrollments<'a> {
    table: Table<'a>,
    package: Option<Package>,
    /// The numbers of Moodle's `course1`, `course2`.
    numbered: Vec<u8>,
    /// A line of Moodle's has as many enrolments as courses.
    waiting: VecDeque<EnrollmentRow>,
}

/// What the other files of a package say.
struct Package {
    /// Addresses of users, without where there is none.
    users: HashMap<String, Option<String>>,
    classes: HashMap<String, Option<String>>,
}

impl<'a> Enrollments<'a> {
    pub fn new(bytes: &'a [u8]) -> Result<Self, RowFault> {
        if !package::is_package(bytes) {
            return Self::of_table(Table::new(Cow::Borrowed(bytes))?, None);
        }
        let mut files = package::files(bytes, ["enrollments.csv", "users.csv", "classes.csv"])?;
        let package = Package {
            users: by_id(files.one("users.csv")?, |row| row.email().ok())?,
            // A package without classes has their ids at least.
            classes: match files.one("classes.csv") {
                Ok(classes) => by_id(classes, |row| row.get(Column::ClassCode).map(str::to_owned))?,
                Err(_) => HashMap::new(),
            },
        };
        Self::of_table(
            Table::new(Cow::Owned(files.one("enrollments.csv")?))?,
            Some(package),
        )
    }

    fn of_table(table: Table<'a>, package: Option<Package>) -> Result<Self, RowFault> {
        if package.is_some() {
            for column in [Column::UserId, Column::ClassId] {
                if !table.has(column) {
                    return Err(table.header_fault(
                        column.name(),
                        "column_missing",
                        "the column is not there",
                    ));
                }
            }
        } else if !table.has(Column::Email) && !table.has(Column::Username) {
            let detail = if table.has(Column::UserId) {
                "OneRoster tells addresses in another file: give the whole package"
            } else {
                "no column has addresses"
            };
            return Err(table.header_fault("email", "column_missing", detail));
        }
        let numbered = table
            .columns()
            .filter_map(|column| match column {
                Column::NumberedCourse(number) => Some(number),
                _ => None,
            })
            .collect();
        Ok(Self {
            table,
            package,
            numbered,
            waiting: VecDeque::new(),
        })
    }

    /// Headings of columns that are not read.
    pub fn ignored_columns(&self) -> &[String] {
        self.table.ignored()
    }
}

impl Iterator for Enrollments<'_> {
    type Item = Result<EnrollmentRow, RowFault>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(row) = self.waiting.pop_front() {
                return Some(Ok(row));
            }
            let row = match self.table.next_row()? {
                Ok(row) => row,
                Err(fault) => return Some(Err(fault)),
            };
            let read = match &self.package {
                Some(package) => of_package(&row, package),
                None if self.numbered.is_empty() => of_row(&row),
                None => match of_numbered(&row, &self.numbered) {
                    Ok(rows) => {
                        self.waiting = rows;
                        continue;
                    }
                    Err(fault) => Err(fault),
                },
            };
            return Some(read.map_err(|fault| row.named(fault)));
        }
    }
}

fn by_id(
    bytes: Vec<u8>,
    value: impl Fn(&Row<'_>) -> Option<String>,
) -> Result<HashMap<String, Option<String>>, RowFault> {
    let mut table = Table::new(Cow::Owned(bytes))?;
    let mut found = HashMap::new();
    while let Some(row) = table.next_row() {
        // The faults of that file are told by who imports it.
        if let Ok(row) = row
            && let Some(id) = row.get(Column::ExternalId)
        {
            found.insert(id.to_owned(), value(&row));
        }
    }
    Ok(found)
}

fn of_row(row: &Row<'_>) -> Result<EnrollmentRow, RowFault> {
    let id = row.text(Column::CourseId)?.map(CourseRef::Id);
    let code = row.text(Column::CourseCode)?.map(CourseRef::Code);
    Ok(EnrollmentRow {
        line: row.line,
        email: row.email()?,
        course: id.or(code),
        status: status(row)?,
        role: row.text(Column::Role)?.map(|role| role_of(&role)),
    })
}

fn of_package(row: &Row<'_>, package: &Package) -> Result<EnrollmentRow, RowFault> {
    let user = row.get(Column::UserId).unwrap_or_default();
    let email = match package.users.get(user) {
        Some(Some(email)) => email.clone(),
        Some(None) => {
            let detail = format!("user {user} has no address in users.csv");
            return Err(row.fault(Column::UserId, "email_missing", detail));
        }
        None => return Err(row.fault(Column::UserId, "user_unknown", "the user is not in users.csv")),
    };
    let read = || -> Result<EnrollmentRow, RowFault> {
        let Some(class) = row.text(Column::ClassId)? else {
            return Err(row.fault(Column::ClassId, "course_missing", "there is no class"));
        };
        let code = package.classes.get(&class).cloned().flatten().unwrap_or(class);
        Ok(EnrollmentRow {
            line: row.line,
            email: email.clone(),
            course: Some(CourseRef::Code(code)),
            status: status(row)?,
            role: row.text(Column::Role)?.map(|role| role_of(&role)),
        })
    };
    // The row itself has no address that a fault could be named by.
    read().map_err(|fault| RowFault {
        email: email.clone(),
        ..fault
    })
}

fn of_numbered(row: &Row<'_>, numbers: &[u8]) -> Result<VecDeque<EnrollmentRow>, RowFault> {
    let mut rows = VecDeque::new();
    for number in numbers {
        let Some(course) = row.text(Column::NumberedCourse(*number))? else {
            continue;
        };
        // Moodle: 0 or nothing is active, 1 suspended.
        let suspended = row
            .get(Column::NumberedStatus(*number))
            .is_some_and(|value| value == "1");
        rows.push_back(EnrollmentRow {
            line: row.line,
            email: row.email()?,
            course: Some(CourseRef::Code(course)),
            status: suspended.then(|| "suspended".to_owned()),
            role: row
                .text(Column::NumberedRole(*number))?
                .map(|role| role_of(&role)),
        });
    }
    Ok(rows)
}

fn status(row: &Row<'_>) -> Result<Option<String>, RowFault> {
    let status = row.text(Column::Status)?;
    Ok(status.map(|status| match column::plain(&status).as_str() {
        "tobedeleted" | "inactive" | "ayrildi" => "dropped".to_owned(),
        "aktif" | "kayitli" => "active".to_owned(),
        _ => status.to_lowercase(),
    }))
}
