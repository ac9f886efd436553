//! What the columns of a file are called: by us, in Turkish, by Moodle and by OneRoster.

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Column {
    ExternalId,
    Status,
    Email,
    Username,
    FullName,
    FirstName,
    MiddleName,
    LastName,
    Role,
    Locale,
    Department,
    StudentId,
    PasswordHash,
    /// As plain text: never read.
    Password,
    /// OneRoster: `false` takes the account away.
    Enabled,
    /// Moodle: `1` takes the account away.
    Suspended,
    CourseId,
    CourseCode,
    ClassId,
    ClassCode,
    UserId,
    /// Moodle's `course1`, `role1`, `enrolstatus1`.
    NumberedCourse(u8),
    NumberedRole(u8),
    NumberedStatus(u8),
}

impl Column {
    /// By its heading; `E-Posta`, `e_posta` and `EPOSTA` are the same.
    pub(crate) fn of(heading: &str) -> Option<Self> {
        let plain = plain(heading);
        Some(match plain.as_str() {
            "sourcedid" | "externalid" => Self::ExternalId,
            "status" | "durum" => Self::Status,
            "email" | "emailaddress" | "mail" | "mailadresi" | "eposta" | "epostaadresi" => Self::Email,
            "username" | "kullaniciadi" => Self::Username,
            "fullname" | "name" | "adsoyad" | "adisoyadi" | "advesoyad" | "isimsoyisim" => Self::FullName,
            "firstname" | "givenname" | "ad" | "adi" | "isim" => Self::FirstName,
            "middlename" => Self::MiddleName,
            "lastname" | "familyname" | "surname" | "soyad" | "soyadi" | "soyisim" => Self::LastName,
            "role" | "rol" => Self::Role,
            "locale" | "lang" | "language" | "dil" => Self::Locale,
            "department" | "bolum" => Self::Department,
            "studentid" | "idnumber" | "identifier" | "ogrencino" | "ogrencinumarasi" => Self::StudentId,
            "passwordhash" => Self::PasswordHash,
            "password" | "parola" | "sifre" => Self::Password,
            "enableduser" => Self::Enabled,
            "suspended" | "deleted" => Self::Suspended,
            "courseid" => Self::CourseId,
            "coursecode" | "course" | "courseshortname" | "courseidnumber" | "derskodu" | "ders" => {
                Self::CourseCode
            }
            "classsourcedid" => Self::ClassId,
            "classcode" => Self::ClassCode,
            "usersourcedid" => Self::UserId,
            other => return numbered(other),
        })
    }

    /// Our name of it, for faults.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::ExternalId => "external_id",
            Self::Status | Self::Enabled | Self::Suspended | Self::NumberedStatus(_) => "status",
            Self::Email => "email",
            Self::Username => "username",
            Self::FullName | Self::FirstName | Self::MiddleName | Self::LastName => "full_name",
            Self::Role | Self::NumberedRole(_) => "role",
            Self::Locale => "locale",
            Self::Department => "department",
            Self::StudentId => "student_id",
            Self::PasswordHash => "password_hash",
            Self::Password => "password",
            Self::CourseId => "course_id",
            Self::CourseCode | Self::ClassCode | Self::NumberedCourse(_) => "course_code",
            Self::ClassId => "classSourcedId",
            Self::UserId => "userSourcedId",
        }
    }
}

fn numbered(plain: &str) -> Option<Column> {
    let word = plain.trim_end_matches(|c: char| c.is_ascii_digit());
    let number = plain.strip_prefix(word)?.parse().ok()?;
    Some(match word {
        "course" => Column::NumberedCourse(number),
        "role" => Column::NumberedRole(number),
        "enrolstatus" => Column::NumberedStatus(number),
        _ => return None,
    })
}

/// Letters and digits alone, lower case, without Turkish marks.
pub(crate) fn plain(text: &str) -> String {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter_map(|c| match c {
            'ı' => Some('i'),
            'ş' => Some('s'),
            'ç' => Some('c'),
            'ğ' => Some('g'),
            'ü' => Some('u'),
            'ö' => Some('o'),
            // A mark that stands alone, as of `İ` in lower case, is not alphanumeric.
            other => other.is_alphanumeric().then_some(other),
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_known_however_they_are_written() {
        for (heading, column) in [
            ("email", Column::Email),
            ("E-POSTA", Column::Email),
            ("Ad Soyad", Column::FullName),
            ("ADI", Column::FirstName),
            ("Bölüm", Column::Department),
            ("Bo\u{308}lu\u{308}m", Column::Department),
            ("Öğrenci No.", Column::StudentId),
            ("ÖĞRENCİ NO", Column::StudentId),
            ("givenName", Column::FirstName),
            ("password_hash", Column::PasswordHash),
            ("course12", Column::NumberedCourse(12)),
        ] {
            assert_eq!(Column::of(heading), Some(column), "{heading}");
        }
        for heading in ["", "12", "course999", "group1", "notes"] {
            assert_eq!(Column::of(heading), None, "{heading}");
        }
    }
}
