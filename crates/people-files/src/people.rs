//! People of a file.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::AddressKey;
use crate::column::{self, Column};
use crate::fault::RowFault;
use crate::package;
use crate::table::{Row, Table};

/// A person as the file tells it. Which roles there are, and what else the school demands, its reader knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PersonRow {
    pub line: u64,
    pub external_id: Option<String>,
    pub email: String,
    pub full_name: String,
    /// `student`, `teacher`, `admin`, `parent`, or as the file has it.
    pub role: Option<String>,
    /// `tr`, `en`.
    pub locale: Option<String>,
    pub department: Option<String>,
    pub student_id: Option<String>,
    pub password_hash: Option<String>,
    /// The other system has taken the account away.
    pub deactivate: bool,
}

/// The people of a CSV file, or of the `users.csv` of a OneRoster package.
pub struct People<'a> {
    table: Table<'a>,
    key: AddressKey,
    /// In which line an address was first.
    seen: HashMap<String, u64>,
}

impl<'a> People<'a> {
    pub fn new(bytes: &'a [u8], key: AddressKey) -> Result<Self, RowFault> {
        let bytes = if package::is_package(bytes) {
            Cow::Owned(package::files(bytes, ["users.csv"])?.one("users.csv")?)
        } else {
            Cow::Borrowed(bytes)
        };
        Self::of_table(Table::new(bytes)?, key)
    }

    pub(crate) fn of_table(table: Table<'a>, key: AddressKey) -> Result<Self, RowFault> {
        if !table.has(Column::Email) && !table.has(Column::Username) {
            return Err(table.header_fault("email", "column_missing", "no column has addresses"));
        }
        if ![Column::FullName, Column::FirstName, Column::LastName]
            .into_iter()
            .any(|column| table.has(column))
        {
            return Err(table.header_fault("full_name", "column_missing", "no column has names"));
        }
        Ok(Self {
            table,
            key,
            seen: HashMap::new(),
        })
    }

    /// Headings of columns that are not read.
    pub fn ignored_columns(&self) -> &[String] {
        self.table.ignored()
    }

    /// Whether there is a column of plain passwords. They are never read: who has an account without a hash chooses
    /// a password anew.
    pub fn has_plain_passwords(&self) -> bool {
        self.table.has(Column::Password)
    }
}

impl Iterator for People<'_> {
    type Item = Result<PersonRow, RowFault>;

    fn next(&mut self) -> Option<Self::Item> {
        let person = match self.table.next_row()? {
            Ok(row) => person(&row).map_err(|fault| row.named(fault)),
            Err(fault) => Err(fault),
        };
        Some(person.and_then(|person| {
            let first = *self.seen.entry((self.key)(&person.email)).or_insert(person.line);
            if first == person.line {
                return Ok(person);
            }
            let detail = format!("the address is in line {first} already");
            let fault = RowFault::new(person.line, "email", "email_repeated", detail);
            Err(RowFault {
                email: person.email,
                ..fault
            })
        }))
    }
}

fn person(row: &Row<'_>) -> Result<PersonRow, RowFault> {
    Ok(PersonRow {
        line: row.line,
        external_id: row.text(Column::ExternalId)?,
        email: row.email()?,
        full_name: full_name(row)?,
        role: row.text(Column::Role)?.map(|role| role_of(&role)),
        locale: locale(row)?,
        department: row.text(Column::Department)?,
        student_id: row.text(Column::StudentId)?,
        password_hash: row.text(Column::PasswordHash)?,
        deactivate: deactivates(row)?,
    })
}

fn full_name(row: &Row<'_>) -> Result<String, RowFault> {
    if let Some(name) = row.text(Column::FullName)? {
        return Ok(name);
    }
    let mut names = Vec::new();
    for column in [Column::FirstName, Column::MiddleName, Column::LastName] {
        names.extend(row.text(column)?);
    }
    if names.is_empty() {
        return Err(row.fault(Column::FullName, "name_missing", "there is no name"));
    }
    Ok(names.join(" "))
}

/// OneRoster's and Moodle's roles, and the Turkish words, as ours.
pub(crate) fn role_of(role: &str) -> String {
    match column::plain(role).as_str() {
        "student" | "ogrenci" => "student".into(),
        "teacher" | "editingteacher" | "aide" | "ogretmen" => "teacher".into(),
        "admin" | "administrator" | "manager" | "yonetici" => "admin".into(),
        "parent" | "guardian" | "relative" | "veli" => "parent".into(),
        _ => role.to_lowercase(),
    }
}

/// `tr`, `tr_TR` and `tr-TR` are one language.
fn locale(row: &Row<'_>) -> Result<Option<String>, RowFault> {
    let Some(value) = row.get(Column::Locale) else {
        return Ok(None);
    };
    let language = value.split(['-', '_']).next().unwrap_or_default();
    match language.to_ascii_lowercase().as_str() {
        known @ ("tr" | "en") => Ok(Some(known.to_owned())),
        _ => Err(row.fault(Column::Locale, "locale_unknown", "there are tr and en")),
    }
}

fn deactivates(row: &Row<'_>) -> Result<bool, RowFault> {
    let status = match row.get(Column::Status).map(str::to_ascii_lowercase).as_deref() {
        None | Some("active") => false,
        Some("tobedeleted" | "inactive") => true,
        Some(_) => {
            let detail = "there are active, inactive and tobedeleted";
            return Err(row.fault(Column::Status, "status_unknown", detail));
        }
    };
    let is = |column, word: &str| {
        row.get(column)
            .is_some_and(|value| value.eq_ignore_ascii_case(word))
    };
    Ok(status || is(Column::Enabled, "false") || is(Column::Suspended, "1"))
}
