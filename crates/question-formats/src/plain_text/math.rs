//! Formulas on one line: `(a+b)/2`, `√(x)`, `c²`.

const MAX_DEPTH: usize = 64;

struct Frame {
    name: String,
    parts: Vec<String>,
}

/// The open elements of a MathML formula.
#[derive(Default)]
pub(super) struct Math {
    frames: Vec<Frame>,
    /// Elements that are too deep to have a frame.
    deeper: usize,
}

pub(super) enum End {
    /// Not in a formula.
    Outside,
    Inside,
    Formula(String),
}

impl Math {
    /// True when the tag belongs to a formula.
    pub(super) fn start(&mut self, tag: &str) -> bool {
        if self.frames.is_empty() && tag != "math" {
            return false;
        }
        if self.frames.len() < MAX_DEPTH {
            self.frames.push(Frame {
                name: tag.to_owned(),
                parts: Vec::new(),
            });
        } else {
            self.deeper += 1;
        }
        true
    }

    /// True when the text belongs to a formula.
    pub(super) fn text(&mut self, text: &str) -> bool {
        let Some(frame) = self.frames.last_mut() else {
            return false;
        };
        if !text.trim().is_empty() {
            frame.parts.push(text.trim().to_owned());
        }
        true
    }

    pub(super) fn end(&mut self, tag: &str) -> End {
        if self.frames.is_empty() {
            return End::Outside;
        }
        if self.deeper > 0 {
            self.deeper -= 1;
            return End::Inside;
        }
        // Ends that are missing are made up for at the end of the formula.
        while let Some(frame) = self.frames.pop() {
            let closed = frame.name == tag;
            let part = combined(&frame.name, &frame.parts);
            match self.frames.last_mut() {
                Some(parent) => parent.parts.push(part),
                None => return End::Formula(part),
            }
            if closed || tag != "math" {
                break;
            }
        }
        End::Inside
    }
}

fn combined(name: &str, parts: &[String]) -> String {
    match (name, parts) {
        ("mfrac", [above, below]) => format!("{}/{}", group(above), group(below)),
        ("msqrt", _) => format!("√{}", group(&parts.concat())),
        ("mroot", [base, index]) => format!("{}√{}", shifted(index, true), group(base)),
        ("msup" | "mover", [base, above]) => format!("{}{}", group(base), shifted(above, true)),
        ("msub" | "munder", [base, below]) => format!("{}{}", group(base), shifted(below, false)),
        ("msubsup" | "munderover", [base, below, above]) => {
            format!("{}{}{}", group(base), shifted(below, false), shifted(above, true))
        }
        ("mfenced", _) => format!("({})", parts.join(", ")),
        ("mtd", _) => format!("{} ", parts.concat()),
        ("mtr", _) => format!("{}; ", parts.concat().trim()),
        ("semantics", [first, ..]) => first.clone(),
        _ => parts.concat(),
    }
}

fn group(part: &str) -> String {
    let simple = part.chars().all(|c| c.is_alphanumeric() || c == '.' || c == ',');
    if simple {
        part.to_owned()
    } else {
        format!("({part})")
    }
}

const RAISED: [(char, char); 15] = [
    ('0', '⁰'),
    ('1', '¹'),
    ('2', '²'),
    ('3', '³'),
    ('4', '⁴'),
    ('5', '⁵'),
    ('6', '⁶'),
    ('7', '⁷'),
    ('8', '⁸'),
    ('9', '⁹'),
    ('+', '⁺'),
    ('-', '⁻'),
    ('−', '⁻'),
    ('(', '⁽'),
    (')', '⁾'),
];

const LOWERED: [(char, char); 15] = [
    ('0', '₀'),
    ('1', '₁'),
    ('2', '₂'),
    ('3', '₃'),
    ('4', '₄'),
    ('5', '₅'),
    ('6', '₆'),
    ('7', '₇'),
    ('8', '₈'),
    ('9', '₉'),
    ('+', '₊'),
    ('-', '₋'),
    ('−', '₋'),
    ('(', '₍'),
    (')', '₎'),
];

/// A part above or below the line.
pub(super) fn shifted(part: &str, raised: bool) -> String {
    let part = part.trim();
    if part.is_empty() || (raised && ["st", "nd", "rd", "th", "°", "′", "o"].contains(&part)) {
        return part.to_owned();
    }
    let table = if raised { &RAISED } else { &LOWERED };
    let small = |c: char| table.iter().find(|(from, _)| *from == c).map(|(_, to)| *to);
    if let Some(small) = part.chars().map(small).collect::<Option<String>>() {
        return small;
    }
    let mark = if raised { '^' } else { '_' };
    if part.chars().count() == 1 {
        return format!("{mark}{part}");
    }
    format!("{mark}({part})")
}
