//! What people are told about.

use super::preference::Category;

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
    /// To many at once: announcements, summaries.
    Low,
}

impl Priority {
    pub const ALL: [Self; 3] = [Self::High, Self::Default, Self::Low];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::High => "high",
            Self::Default => "default",
            Self::Low => "low",
        }
    }

    pub fn as_i16(self) -> i16 {
        match self {
            Self::High => 0,
            Self::Default => 1,
            Self::Low => 2,
        }
    }
}

/// Every mail there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum MailKind {
    Welcome,
    VerifyEmail,
    ResetPassword,
    /// To whom somebody made an account: the link sets the first password.
    Invitation,
    /// To an address that is to become the account's.
    ConfirmEmail,
    RegistrationRepeated,
    EnrollmentCreated,
    /// By somebody else than the student.
    EnrollmentChanged,
    CourseCompleted,
    ExamGraded,
    Announcement,
    /// A teacher's week.
    WeeklySummary,
    PasswordChanged,
    SecondFactorEnabled,
    SecondFactorDisabled,
    RecoveryCodeUsed,
    RecoveryCodesRenewed,
    IdentityLinked,
    IdentityUnlinked,
    EmailChangeRequested,
    /// To the address of before.
    EmailChanged,
    /// To admins: a webhook takes nothing.
    WebhookDisabled,
    /// Several messages in one.
    Digest,
}

impl MailKind {
    pub const ALL: [Self; 23] = [
        Self::Welcome,
        Self::VerifyEmail,
        Self::ResetPassword,
        Self::Invitation,
        Self::ConfirmEmail,
        Self::RegistrationRepeated,
        Self::EnrollmentCreated,
        Self::EnrollmentChanged,
        Self::CourseCompleted,
        Self::ExamGraded,
        Self::Announcement,
        Self::WeeklySummary,
        Self::PasswordChanged,
        Self::SecondFactorEnabled,
        Self::SecondFactorDisabled,
        Self::RecoveryCodeUsed,
        Self::RecoveryCodesRenewed,
        Self::IdentityLinked,
        Self::IdentityUnlinked,
        Self::EmailChangeRequested,
        Self::EmailChanged,
        Self::WebhookDisabled,
        Self::Digest,
    ];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::VerifyEmail => "verify_email",
            Self::ResetPassword => "reset_password",
            Self::Invitation => "invitation",
            Self::ConfirmEmail => "confirm_email",
            Self::RegistrationRepeated => "registration_repeated",
            Self::EnrollmentCreated => "enrollment_created",
            Self::EnrollmentChanged => "enrollment_changed",
            Self::CourseCompleted => "course_completed",
            Self::ExamGraded => "exam_graded",
            Self::Announcement => "announcement",
            Self::WeeklySummary => "weekly_summary",
            Self::PasswordChanged => "password_changed",
            Self::SecondFactorEnabled => "second_factor_enabled",
            Self::SecondFactorDisabled => "second_factor_disabled",
            Self::RecoveryCodeUsed => "recovery_code_used",
            Self::RecoveryCodesRenewed => "recovery_codes_renewed",
            Self::IdentityLinked => "identity_linked",
            Self::IdentityUnlinked => "identity_unlinked",
            Self::EmailChangeRequested => "email_change_requested",
            Self::EmailChanged => "email_changed",
            Self::WebhookDisabled => "webhook_disabled",
            Self::Digest => "digest",
        }
    }

    /// `None` for a summary, which is about several.
    pub fn category(self) -> Option<Category> {
        match self {
            Self::Welcome
            | Self::VerifyEmail
            | Self::ResetPassword
            | Self::Invitation
            | Self::ConfirmEmail
            | Self::RegistrationRepeated
            | Self::PasswordChanged
            | Self::SecondFactorEnabled
            | Self::SecondFactorDisabled
            | Self::RecoveryCodeUsed
            | Self::RecoveryCodesRenewed
            | Self::IdentityLinked
            | Self::IdentityUnlinked
            | Self::EmailChangeRequested
            | Self::EmailChanged
            | Self::WebhookDisabled => Some(Category::Account),
            Self::EnrollmentCreated | Self::EnrollmentChanged | Self::CourseCompleted => {
                Some(Category::Courses)
            }
            Self::ExamGraded => Some(Category::Exams),
            Self::Announcement => Some(Category::Announcements),
            Self::WeeklySummary => Some(Category::Reports),
            Self::Digest => None,
        }
    }

    /// What can be unsubscribed from: the category, or `digest`.
    pub fn topic(self) -> &'static str {
        self.category().map_or("digest", Category::as_str)
    }

    /// C-JOB-04: what somebody waits for goes first, and what an owner has to know at once.
    pub fn priority(self) -> Priority {
        match self {
            Self::VerifyEmail
            | Self::ResetPassword
            | Self::Invitation
            | Self::ConfirmEmail
            | Self::PasswordChanged
            | Self::SecondFactorEnabled
            | Self::SecondFactorDisabled
            | Self::RecoveryCodeUsed
            | Self::RecoveryCodesRenewed
            | Self::IdentityLinked
            | Self::IdentityUnlinked
            | Self::EmailChangeRequested
            | Self::EmailChanged => Priority::High,
            Self::Welcome
            | Self::RegistrationRepeated
            | Self::EnrollmentCreated
            | Self::EnrollmentChanged
            | Self::CourseCompleted
            | Self::ExamGraded
            | Self::WebhookDisabled => Priority::Default,
            Self::Announcement | Self::WeeklySummary | Self::Digest => Priority::Low,
        }
    }
}

/// Every entry that the inbox can hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NotificationKind {
    Welcome,
    EnrollmentCreated,
    EnrollmentChanged,
    CourseCompleted,
    ExamGraded,
    Announcement,
    WeeklySummary,
    WebhookDisabled,
}

impl NotificationKind {
    pub const ALL: [Self; 8] = [
        Self::Welcome,
        Self::EnrollmentCreated,
        Self::EnrollmentChanged,
        Self::CourseCompleted,
        Self::ExamGraded,
        Self::Announcement,
        Self::WeeklySummary,
        Self::WebhookDisabled,
    ];

    pub fn category(self) -> Category {
        match self {
            Self::Welcome | Self::WebhookDisabled => Category::Account,
            Self::EnrollmentCreated | Self::EnrollmentChanged | Self::CourseCompleted => Category::Courses,
            Self::ExamGraded => Category::Exams,
            Self::Announcement => Category::Announcements,
            Self::WeeklySummary => Category::Reports,
        }
    }

    /// Its name among the texts.
    pub fn text_key(self) -> &'static str {
        match self {
            Self::Welcome => "welcome",
            Self::EnrollmentCreated => "enrollment_created",
            Self::EnrollmentChanged => "enrollment_changed",
            Self::CourseCompleted => "course_completed",
            Self::ExamGraded => "exam_graded",
            Self::Announcement => "announcement",
            Self::WeeklySummary => "weekly_summary",
            Self::WebhookDisabled => "webhook_disabled",
        }
    }

    /// Its name in the API: the event behind it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Welcome => "user.registered",
            Self::EnrollmentCreated => "enrollment.created",
            Self::EnrollmentChanged => "enrollment.status_changed",
            Self::CourseCompleted => "progress.course_completed",
            Self::ExamGraded => "exam.attempt_graded",
            Self::Announcement => "announcement",
            Self::WeeklySummary => "report.weekly_summary_made",
            Self::WebhookDisabled => "webhook.changed",
        }
    }
}

/// What the texts may speak of.
#[derive(Debug, Clone, Default)]
pub struct Values {
    pub name: String,
    pub course_title: String,
    pub exam_title: String,
    /// What an enrolment has become.
    pub status: String,
    /// Of an announcement.
    pub title: String,
    pub body: String,
    /// Human-readable, in the school's time zone.
    pub expires_at: String,
    pub week: Week,
    /// Likewise.
    pub happened_at: String,
    /// Of a webhook.
    pub address: String,
}

/// A teacher's week, as the texts tell it.
#[derive(Debug, Clone, Default)]
pub struct Week {
    /// Its Monday and Sunday, for people.
    pub first_day: String,
    pub last_day: String,
    pub active_students: i32,
    pub enrollments: i32,
    pub videos_completed: i32,
    pub courses_completed: i32,
    pub attempts_submitted: i32,
    /// Without decimals; empty when nothing was graded.
    pub average_score: String,
}
