//! What people are told about.

/// A language we write in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Locale {
    Tr,
    En,
}

impl Locale {
    pub const ALL: [Self; 2] = [Self::Tr, Self::En];

    /// Turkish for whatever is not English: the school's own language.
    pub fn from_code(code: &str) -> Self {
        if code == "en" { Self::En } else { Self::Tr }
    }

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tr => "tr",
            Self::En => "en",
        }
    }
}

/// Whom a mail goes to, in which language.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recipient {
    pub user_id: typed_id::UserId,
    pub address: String,
    pub name: String,
    pub locale: Locale,
}

/// How urgent a mail is: its place in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Priority {
    High,
    Default,
}

impl Priority {
    pub fn as_i16(self) -> i16 {
        match self {
            Self::High => 0,
            Self::Default => 1,
        }
    }
}

/// Every mail there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailKind {
    Welcome,
    VerifyEmail,
    ResetPassword,
    RegistrationRepeated,
    EnrollmentCreated,
}

impl MailKind {
    pub const ALL: [Self; 5] = [
        Self::Welcome,
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::RegistrationRepeated,
        Self::EnrollmentCreated,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::RegistrationRepeated => "registration_repeated",
            Self::EnrollmentCreated => "enrollment_created",
        }
    }

    /// C-JOB-04: what somebody waits for goes first.
    pub fn priority(self) -> Priority {
        match self {
            Self::VerifyEmail | Self::ResetPassword => Priority::High,
            Self::Welcome | Self::RegistrationRepeated | Self::EnrollmentCreated => Priority::Default,
        }
    }
}

/// Every entry that the inbox can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    Welcome,
    EnrollmentCreated,
    CourseCompleted,
    ExamGraded,
}

impl NotificationKind {
    pub const ALL: [Self; 4] = [
        Self::Welcome,
        Self::EnrollmentCreated,
        Self::CourseCompleted,
        Self::ExamGraded,
    ];

    /// Its name among the texts.
    pub fn text_key(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::EnrollmentCreated => "enrollment_created",
            Self::CourseCompleted => "course_completed",
            Self::ExamGraded => "exam_graded",
        }
    }

    /// Its name in the API: the event behind it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "user.registered",
            Self::EnrollmentCreated => "enrollment.created",
            Self::CourseCompleted => "progress.course_completed",
            Self::ExamGraded => "exam.attempt_graded",
        }
    }
}

/// What the texts may speak of.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub name: String,
    pub course_title: String,
    pub exam_title: String,
    /// Human-readable, in the school's time zone.
    pub expires_at: String,
}
