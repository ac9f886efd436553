//! What the formats have in common.

/// Ten-thousandths of the full score: 10 000 is all of it, -2 500 a quarter off.
pub type Credit = i32;

/// Full score.
pub const FULL: Credit = 10_000;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The name in a bank; empty when there is none.
    pub title: String,
    /// Plain text: markup of the source is taken away, entities are resolved, paragraphs and line breaks stay.
    pub text: String,
    pub body: Body,
    /// Thousandths of a point.
    pub points: u32,
    /// Categories and tags.
    pub tags: Vec<String>,
    /// What is told after the review opens; empty when there is none.
    pub feedback: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    /// Exactly one choice is picked; the best one has full credit.
    Single {
        choices: Vec<Choice>,
    },
    /// Any number of choices; credits of the right ones add up to full credit.
    Multiple {
        choices: Vec<Choice>,
    },
    TrueFalse {
        answer: bool,
    },
    Numeric {
        accepted: Vec<NumericAnswer>,
    },
    Short {
        accepted: Vec<TextAnswer>,
        case_sensitive: bool,
    },
    Essay,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    pub text: String,
    pub credit: Credit,
    pub feedback: String,
}

/// Decimal texts (`-3.14`), as a float would not keep them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NumericAnswer {
    pub value: String,
    /// Allowed distance; `0` for none.
    pub tolerance: String,
    pub credit: Credit,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TextAnswer {
    pub text: String,
    pub credit: Credit,
}

/// A question and where it stood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// File inside a package; empty outside of packages.
    pub file: String,
    /// The first line of the question, counted from 1.
    pub line: u32,
    pub question: Question,
}

/// Why a question is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    pub file: String,
    pub line: u32,
    /// Stable: `unsupported_type`, `syntax`, `no_correct_answer`, `too_large`, `encoding`, ...
    pub code: &'static str,
    pub message: String,
}

/// All that a source holds: what could be read, and why the rest could not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bank {
    pub questions: Vec<Imported>,
    pub faults: Vec<Fault>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    Gift,
    MoodleXml,
    Aiken,
    /// An item or assessment file, or a zip package of them, of version 1.2, 2.x or 3.0.
    Qti,
}

/// What one source may hold, so that a hostile one costs little.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    pub max_questions: usize,
    /// Entries of a zip package.
    pub max_files: usize,
    /// All entries together, when inflated.
    pub max_inflated_bytes: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_questions: 5_000,
            max_files: 2_000,
            max_inflated_bytes: 64 << 20,
        }
    }
}
