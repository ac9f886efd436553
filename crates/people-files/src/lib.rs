//! Files of people and of their enrolments: our CSV, Moodle's uploads and OneRoster 1.1 packages, read row by row.
//!
//! Any bytes are allowed. A row is a person, an enrolment, or the fault that says why it is neither; one row's fault
//! leaves the others alone. How large a file may be is the caller's to say.

mod column;
mod enrollments;
mod fault;
mod package;
mod people;
mod table;
mod text;

pub use enrollments::{CourseRef, EnrollmentRow, Enrollments};
pub use fault::RowFault;
pub use package::is_package;
pub use people::{People, PersonRow};

/// What makes two spellings of an address the same account.
pub type AddressKey = fn(&str) -> String;
