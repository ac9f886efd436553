//! Aiken: a question, choices `A)` or `A.`, and `ANSWER: A`.

use crate::problem::Problem;
use crate::source::Collector;
use crate::{Body, Choice, FULL, Question};

#[derive(Default)]
struct Draft {
    line: u32,
    text: Vec<String>,
    choices: Vec<String>,
    problem: Option<Problem>,
}

enum Line<'a> {
    Empty,
    Choice(char, &'a str),
    Answer(&'a str),
    Text(&'a str),
}

pub(crate) fn read(source: &str, collector: &mut Collector<'_>) {
    let mut draft = Draft::default();
    for (line, number) in source.lines().zip(1_u32..) {
        match kind(line.trim()) {
            Line::Empty if draft.choices.is_empty() => {}
            Line::Empty => draft.blank_after_choices(collector),
            Line::Choice(letter, text) => draft.choice(letter, text, number),
            Line::Answer(letters) => {
                let draft = std::mem::take(&mut draft);
                if draft.line == 0 {
                    collector.fault(number, Problem::syntax("an answer without a question"));
                } else {
                    collector.add(draft.line, draft.finish(letters, number));
                }
            }
            Line::Text(text) => draft.text(text, number),
        }
        if collector.is_full() {
            return;
        }
    }
    draft.without_answer(collector);
}

fn kind(line: &str) -> Line<'_> {
    if line.is_empty() {
        return Line::Empty;
    }
    if let Some(letters) = line.strip_prefix("ANSWER:") {
        return Line::Answer(letters.trim());
    }
    let mut characters = line.chars();
    if let (Some(letter @ 'A'..='Z'), Some(')' | '.')) = (characters.next(), characters.next()) {
        let text = characters.as_str();
        if text.starts_with(char::is_whitespace) {
            return Line::Choice(letter, text.trim());
        }
    }
    Line::Text(line)
}

impl Draft {
    fn fail(&mut self, message: String) {
        self.problem.get_or_insert(Problem::syntax(message));
    }

    fn text(&mut self, text: &str, number: u32) {
        if self.line == 0 {
            self.line = number;
        }
        match self.choices.last_mut() {
            // A choice that goes on in the next line.
            Some(choice) => {
                choice.push(' ');
                choice.push_str(text);
            }
            None => self.text.push(text.to_owned()),
        }
    }

    fn choice(&mut self, letter: char, text: &str, number: u32) {
        if self.line == 0 {
            self.line = number;
            self.fail(format!("line {number}: a choice without a question"));
        }
        if place(letter) != Some(self.choices.len()) {
            self.fail(format!("line {number}: the choice `{letter}` is out of order"));
        }
        self.choices.push(text.to_owned());
    }

    /// An empty line ends a question; before the answer it leaves it without one.
    fn blank_after_choices(&mut self, collector: &mut Collector<'_>) {
        std::mem::take(self).without_answer(collector);
    }

    fn without_answer(self, collector: &mut Collector<'_>) {
        if self.line > 0 {
            let problem = self
                .problem
                .unwrap_or_else(|| Problem::syntax("the question has no line `ANSWER:`"));
            collector.fault(self.line, problem);
        }
    }

    fn finish(self, letters: &str, number: u32) -> Result<Question, Problem> {
        if let Some(problem) = self.problem {
            return Err(problem);
        }
        let mut characters = letters.chars();
        let right = match (characters.next(), characters.next()) {
            (Some(letter), None) => place(letter),
            _ => None,
        };
        let Some(right) = right.filter(|right| *right < self.choices.len()) else {
            let message = format!("line {number}: the answer is none of the choices");
            return Err(Problem::no_answer(message));
        };
        let choices = self.choices.into_iter().enumerate().map(|(index, text)| Choice {
            text,
            credit: if index == right { FULL } else { 0 },
            feedback: String::new(),
        });
        Ok(Question {
            title: String::new(),
            text: self.text.join("\n"),
            body: Body::Single {
                choices: choices.collect(),
            },
            points: 1000,
            tags: Vec::new(),
            feedback: String::new(),
        })
    }
}

fn place(letter: char) -> Option<usize> {
    let letter = u8::try_from(letter).ok().filter(u8::is_ascii_uppercase)?;
    Some(usize::from(letter - b'A'))
}

#[cfg(test)]
mod tests {
    use crate::{Body, Fault, Format, Limits, read};

    fn bank(text: &str) -> crate::Bank {
        read(Format::Aiken, text.as_bytes(), &Limits::default())
    }

    fn places(faults: &[Fault]) -> Vec<(u32, &str)> {
        faults.iter().map(|fault| (fault.line, fault.code)).collect()
    }

    #[test]
    fn questions_with_choices() {
        let bank = bank(
            "Başkent?\r\nHangisi?\r\nA) İzmir\r\nB. Ankara\r\nANSWER: B\r\n\r\n<b> & C?\nA) x\nB) y\n uzun\nANSWER: A",
        );
        assert_eq!(bank.faults, []);
        assert_eq!(bank.questions[1].line, 7);
        let question = &bank.questions[0].question;
        assert_eq!(question.text, "Başkent?\nHangisi?");
        let Body::Single { choices } = &question.body else {
            panic!()
        };
        assert_eq!((choices[1].text.as_str(), choices[1].credit), ("Ankara", 10_000));
    }

    #[test]
    fn faults_have_lines() {
        let bank = bank(
            "Bir?\nA) x\nB) y\n\nİki?\nA) x\nC) y\nANSWER: A\n\nÜç?\nA) x\nB) y\nANSWER: C\n\nANSWER: A\n\nson",
        );
        assert!(bank.questions.is_empty());
        let expected = [
            (1, "syntax"),
            (5, "syntax"),
            (10, "no_correct_answer"),
            (15, "syntax"),
            (17, "syntax"),
        ];
        assert_eq!(places(&bank.faults), expected);
    }
}
