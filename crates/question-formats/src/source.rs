//! The text of a source, and what is collected from it.

use crate::problem::Problem;
use crate::{Bank, Fault, Imported, Limits, Question, normal};

/// Text without a byte order mark; the fault tells the line of the first byte that is wrong.
pub(crate) fn text<'a>(bytes: &'a [u8], limits: &Limits) -> Result<&'a str, (u32, Problem)> {
    if bytes.len() as u64 > limits.max_inflated_bytes {
        let message = format!("more than {} bytes", limits.max_inflated_bytes);
        return Err((1, Problem::too_large(message)));
    }
    let line_of = |end: usize| 1 + newlines(bytes.get(..end).unwrap_or_default());
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let line = line_of(error.valid_up_to());
            return Err((line, Problem::encoding("the text is not UTF-8")));
        }
    };
    if let Some(at) = text.find('\0') {
        return Err((line_of(at), Problem::encoding("the text has a character U+0000")));
    }
    Ok(text.strip_prefix('\u{feff}').unwrap_or(text))
}

pub(crate) fn newlines(bytes: &[u8]) -> u32 {
    bytes
        .iter()
        .fold(0, |lines, byte| lines + u32::from(*byte == b'\n'))
}

/// Takes questions and faults until a limit is reached.
pub(crate) struct Collector<'a> {
    pub(crate) limits: &'a Limits,
    bank: Bank,
    file: String,
    full: bool,
}

impl<'a> Collector<'a> {
    pub(crate) fn new(limits: &'a Limits) -> Self {
        Self {
            limits,
            bank: Bank::default(),
            file: String::new(),
            full: false,
        }
    }

    pub(crate) fn enter(&mut self, file: &str) {
        file.clone_into(&mut self.file);
    }

    /// Nothing more is taken.
    pub(crate) fn is_full(&self) -> bool {
        self.full
    }

    /// Items taken so far, good or bad.
    pub(crate) fn items(&self) -> usize {
        self.bank.questions.len() + self.bank.faults.len()
    }

    pub(crate) fn add(&mut self, line: u32, item: Result<Question, Problem>) {
        match item.and_then(normal::normal) {
            Ok(question) => {
                if self.has_room(line, self.bank.questions.len()) {
                    let file = self.file.clone();
                    self.bank.questions.push(Imported { file, line, question });
                }
            }
            Err(problem) => self.fault(line, problem),
        }
    }

    pub(crate) fn fault(&mut self, line: u32, problem: Problem) {
        // Faults cost memory as questions do.
        if self.has_room(line, self.bank.faults.len()) {
            self.push_fault(line, problem);
        }
    }

    /// A fault after which the rest of the source is left alone.
    pub(crate) fn stop(&mut self, line: u32, problem: Problem) {
        if !self.full {
            self.full = true;
            self.push_fault(line, problem);
        }
    }

    fn has_room(&mut self, line: u32, taken: usize) -> bool {
        if taken >= self.limits.max_questions {
            let message = format!("more than {} questions", self.limits.max_questions);
            self.stop(line, Problem::too_large(message));
        }
        !self.full
    }

    fn push_fault(&mut self, line: u32, problem: Problem) {
        self.bank.faults.push(Fault {
            file: self.file.clone(),
            line,
            code: problem.code,
            message: problem.message,
        });
    }

    pub(crate) fn finish(self) -> Bank {
        self.bank
    }
}
