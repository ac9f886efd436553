//! What users do: each a request, or two for a page that needs two.

use serde::Serialize;

/// A request of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    CourseList,
    Course,
    Search,
    Heartbeat,
    Answer,
    Enrol,
    MyEnrollments,
    MyProgress,
    Login,
}

impl Action {
    pub const ALL: [Self; 9] = [
        Self::CourseList,
        Self::Course,
        Self::Search,
        Self::Heartbeat,
        Self::Answer,
        Self::Enrol,
        Self::MyEnrollments,
        Self::MyProgress,
        Self::Login,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::CourseList => "course list",
            Self::Course => "course",
            Self::Search => "search",
            Self::Heartbeat => "video heartbeat",
            Self::Answer => "save an answer",
            Self::Enrol => "enrol",
            Self::MyEnrollments => "my enrolments",
            Self::MyProgress => "my progress",
            Self::Login => "sign in",
        }
    }

    /// Whether the answer is what the user wanted. Enrolling a second time is not.
    pub fn is_done(self, status: u16) -> bool {
        match self {
            Self::Enrol => status == 201,
            _ => status == 200,
        }
    }
}

/// What a user is busy with, and the design documents' share of users with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// 60 %: watch a video; the player tells where it is.
    Watching,
    /// 25 %: look for courses, a request in two seconds.
    Browsing,
    /// 10 %: sit an exam, two answers a second.
    Sitting,
    /// 5 %: enrol and look at their pages, a request a second.
    Heavy,
}

impl Kind {
    /// Of the n-th user: spread, so that each second of a ramp has the same mix.
    pub fn of(user: usize) -> Self {
        match user % 20 {
            3 | 11 => Self::Sitting,
            19 => Self::Heavy,
            1 | 5 | 9 | 13 | 17 => Self::Browsing,
            _ => Self::Watching,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Watching => "watching",
            Self::Browsing => "browsing",
            Self::Sitting => "sitting an exam",
            Self::Heavy => "enrolling, dashboards",
        }
    }

    /// Between two requests of a user.
    pub fn think_seconds(self) -> f64 {
        match self {
            Self::Watching => 15.0,
            Self::Browsing => 2.0,
            Self::Sitting => 0.5,
            Self::Heavy => 1.0,
        }
    }

    pub fn action(self, chance: u64) -> Action {
        match (self, chance % 20) {
            (Self::Watching, _) => Action::Heartbeat,
            (Self::Browsing, 0..10) => Action::CourseList,
            (Self::Browsing, 10..18) => Action::Course,
            (Self::Browsing, _) => Action::Search,
            (Self::Sitting, _) => Action::Answer,
            (Self::Heavy, 0..10) => Action::Enrol,
            (Self::Heavy, 10..15) => Action::MyEnrollments,
            (Self::Heavy, _) => Action::MyProgress,
        }
    }
}

/// What is saturated, or offered at a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, clap::ValueEnum)]
#[serde(rename_all = "kebab-case")]
pub enum Workload {
    /// `GET /courses`, the first page of 20.
    CourseList,
    /// `GET /courses/{id}` of 20 courses in turn.
    Course,
    /// `POST /videos/{id}/progress`.
    Heartbeat,
    /// `PUT /exam-attempts/{id}/answers/{question_id}`.
    Answer,
    /// `POST /courses/{id}/enroll`, a new enrolment each time.
    Enrol,
    /// A student's first page: `GET /users/me/enrollments`, then `GET /users/me/progress`; counted as one.
    Dashboard,
    /// 33 % browsing, 53 % answers, 14 % heavy (enrolling, dashboards by request).
    Mix,
    /// The requests of the users' mix: heartbeats, browsing, answers, heavy as 400 : 1,250 : 2,000 : 500.
    UsersMix,
    /// `POST /auth/login`: one Argon2id hash each.
    Login,
}

impl Workload {
    pub const ALL: [Self; 9] = [
        Self::CourseList,
        Self::Course,
        Self::Heartbeat,
        Self::Answer,
        Self::Enrol,
        Self::Dashboard,
        Self::Mix,
        Self::UsersMix,
        Self::Login,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::CourseList => "course list",
            Self::Course => "course",
            Self::Heartbeat => "video heartbeat",
            Self::Answer => "save an answer",
            Self::Enrol => "enrol",
            Self::Dashboard => "dashboard",
            Self::Mix => "API mix",
            Self::UsersMix => "users' mix",
            Self::Login => "sign in",
        }
    }

    pub fn what(self) -> &'static str {
        match self {
            Self::CourseList => "GET /courses, first page of 20",
            Self::Course => "GET /courses/{id}, 20 courses in turn",
            Self::Heartbeat => "POST /videos/{id}/progress",
            Self::Answer => "PUT /exam-attempts/{id}/answers/{question_id}",
            Self::Enrol => "POST /courses/{id}/enroll, new each time",
            Self::Dashboard => "GET /users/me/enrollments and /users/me/progress, counted as one",
            Self::Mix => "33 % browsing, 53 % answers, 14 % enrolling and dashboards",
            Self::UsersMix => "10 % heartbeats, 30 % browsing, 48 % answers, 12 % enrolling and dashboards",
            Self::Login => "POST /auth/login",
        }
    }

    /// The requests of one turn. A turn of a dashboard counts once, when its last answer is there.
    pub fn turn(self, chance: u64) -> &'static [Action] {
        match self {
            Self::CourseList => &[Action::CourseList],
            Self::Course => &[Action::Course],
            Self::Heartbeat => &[Action::Heartbeat],
            Self::Answer => &[Action::Answer],
            Self::Enrol => &[Action::Enrol],
            Self::Dashboard => &[Action::MyEnrollments, Action::MyProgress],
            Self::Mix => match chance % 100 {
                0..20 => &[Action::CourseList],
                20..33 => &[Action::Course],
                33..86 => &[Action::Answer],
                86..91 => &[Action::Enrol],
                91..96 => &[Action::MyEnrollments],
                _ => &[Action::MyProgress],
            },
            Self::UsersMix => match chance % 4_150 {
                0..400 => &[Action::Heartbeat],
                400..1_025 => &[Action::CourseList],
                1_025..1_525 => &[Action::Course],
                1_525..1_650 => &[Action::Search],
                1_650..3_650 => &[Action::Answer],
                3_650..3_900 => &[Action::Enrol],
                3_900..4_025 => &[Action::MyEnrollments],
                _ => &[Action::MyProgress],
            },
            Self::Login => &[Action::Login],
        }
    }

    pub fn needs(self, action: Action) -> bool {
        (0..4_150).any(|chance| self.turn(chance).contains(&action))
    }
}
