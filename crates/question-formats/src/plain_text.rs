//! Markup to plain text.
//!
//! Paragraphs are parted by an empty line, list items start with `- ` or a number, pictures leave their description
//! in brackets, powers and formulas are written on one line. Markdown stays as it is.

mod element;
mod html;
mod math;

pub(crate) use element::write_children;
use math::Math;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Markup {
    Html,
    /// Text with line ends that count, in which there may be well-formed HTML tags.
    Auto,
    Markdown,
    Plain,
}

pub(crate) fn plain(markup: Markup, text: &str) -> String {
    match markup {
        Markup::Html => html::read(text, false),
        Markup::Auto => html::read(text, true),
        Markup::Markdown | Markup::Plain => text.trim().to_owned(),
    }
}

/// Takes tags and texts of any source, writes plain text.
#[derive(Default)]
pub(crate) struct Writer {
    out: String,
    /// Line ends that stand before the next character.
    newlines: usize,
    space: bool,
    preformatted: usize,
    /// How deep in elements that are not shown.
    hidden: usize,
    /// Counters of the open lists; 0 for bullets.
    lists: Vec<u32>,
    /// Where raised and lowered parts start.
    shifted: Vec<usize>,
    math: Math,
    keeps_lines: bool,
}

const HIDDEN: [&str; 8] = [
    "script",
    "style",
    "head",
    "template",
    "noscript",
    "annotation",
    "annotationxml",
    "rp",
];
/// Nothing sensible is nested deeper.
const MAX_NESTED: usize = 16;

impl Writer {
    pub(crate) fn new(keeps_lines: bool) -> Self {
        Self {
            keeps_lines,
            ..Self::default()
        }
    }

    pub(crate) fn start(&mut self, tag: &str, attribute: &dyn Fn(&str) -> Option<String>) {
        if HIDDEN.contains(&tag) {
            self.hidden += 1;
        }
        if self.hidden > 0 || self.math.start(tag) {
            return;
        }
        match tag {
            "ul" => self.open_list(0),
            "ol" => self.open_list(1),
            "li" => self.list_item(),
            "pre" => {
                self.end_line(2);
                self.preformatted += 1;
            }
            "img" => {
                if let Some(alt) = attribute("alt").filter(|alt| describes(alt.trim())) {
                    self.text(&format!("[{}]", alt.trim()));
                }
            }
            "sup" | "sub" if self.shifted.len() < MAX_NESTED => {
                self.flush();
                self.shifted.push(self.out.len());
            }
            "rt" => self.text("("),
            "td" | "th" if !self.at_line_start() => self.text(" | "),
            _ => self.end_line(lines_around(tag)),
        }
    }

    /// An element without content.
    pub(crate) fn empty(&mut self, tag: &str, attribute: &dyn Fn(&str) -> Option<String>) {
        if self.hidden > 0 {
            return;
        }
        if tag == "br" {
            self.newlines = (self.newlines + 1).min(2);
            self.space = false;
        } else if tag == "hr" {
            self.end_line(2);
        } else if !HIDDEN.contains(&tag) {
            self.start(tag, attribute);
            if !matches!(tag, "img" | "td" | "th") {
                self.end(tag);
            }
        }
    }

    pub(crate) fn end(&mut self, tag: &str) {
        if HIDDEN.contains(&tag) {
            self.hidden = self.hidden.saturating_sub(1);
            return;
        }
        if self.hidden > 0 {
            return;
        }
        match self.math.end(tag) {
            math::End::Outside => {}
            math::End::Inside => return,
            math::End::Formula(formula) => return self.text(&formula),
        }
        match tag {
            "ul" | "ol" => {
                self.lists.pop();
                self.end_line(if self.lists.is_empty() { 2 } else { 1 });
            }
            "pre" => {
                self.preformatted = self.preformatted.saturating_sub(1);
                self.end_line(2);
            }
            "rt" => self.text(")"),
            "sup" | "sub" => self.end_shifted(tag == "sup"),
            _ => self.end_line(lines_around(tag)),
        }
    }

    pub(crate) fn text(&mut self, text: &str) {
        if self.hidden > 0 || self.math.text(text) {
            return;
        }
        for character in text.chars() {
            let is_space = character.is_ascii_whitespace() || character == '\u{a0}';
            if !is_space {
                self.flush();
                self.out.push(character);
            } else if character == '\n' && (self.keeps_lines || self.preformatted > 0) {
                self.newlines += usize::from(self.newlines < 2 || self.preformatted > 0);
                self.space = false;
            } else if self.preformatted > 0 && character != '\r' {
                self.flush();
                self.out.push(character);
            } else {
                self.space = true;
            }
        }
    }

    pub(crate) fn html(&mut self, text: &str) {
        html::feed(text, false, self);
    }

    /// Starts a new paragraph.
    pub(crate) fn paragraph(&mut self) {
        self.end_line(2);
    }

    pub(crate) fn finish(self) -> String {
        self.out.trim().to_owned()
    }

    fn at_line_start(&self) -> bool {
        self.newlines > 0 || self.out.is_empty() || self.out.ends_with('\n')
    }

    fn end_line(&mut self, lines: usize) {
        if lines > 0 {
            self.newlines = self.newlines.max(lines);
            self.space = false;
        }
    }

    fn flush(&mut self) {
        if !self.out.is_empty() {
            if self.newlines > 0 {
                self.out.extend(std::iter::repeat_n('\n', self.newlines));
            } else if self.space && !self.out.ends_with(char::is_whitespace) {
                self.out.push(' ');
            }
        }
        self.newlines = 0;
        self.space = false;
    }

    fn open_list(&mut self, counter: u32) {
        self.end_line(if self.lists.is_empty() { 2 } else { 1 });
        if self.lists.len() < MAX_NESTED {
            self.lists.push(counter);
        }
    }

    fn list_item(&mut self) {
        self.end_line(1);
        self.flush();
        let indent = "  ".repeat(self.lists.len().saturating_sub(1));
        let mark = match self.lists.last_mut() {
            Some(counter) if *counter > 0 => {
                *counter = counter.saturating_add(1);
                format!("{}. ", *counter - 1)
            }
            _ => "- ".to_owned(),
        };
        self.out.push_str(&indent);
        self.out.push_str(&mark);
    }

    fn end_shifted(&mut self, raised: bool) {
        let Some(start) = self.shifted.pop() else { return };
        if start <= self.out.len() && self.out.is_char_boundary(start) {
            let part = self.out.split_off(start);
            self.out.push_str(&math::shifted(&part, raised));
        }
    }
}

/// A file's name tells nothing of a picture.
fn describes(alt: &str) -> bool {
    let ending = alt.rsplit('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_file =
        !alt.contains(' ') && ["png", "jpg", "jpeg", "gif", "svg", "webp", "bmp"].contains(&ending.as_str());
    !alt.is_empty() && !is_file
}

fn lines_around(tag: &str) -> usize {
    match tag {
        "p" | "h1" | "h2" | "h3" | "h4" | "h5" | "h6" | "blockquote" | "table" | "dl" | "figure" => 2,
        "div" | "tr" | "dt" | "dd" | "section" | "article" | "header" | "footer" | "main" | "aside"
        | "caption" | "figcaption" | "address" | "details" | "summary" | "form" | "center" | "thead"
        | "tbody" => 1,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn html(text: &str) -> String {
        plain(Markup::Html, text)
    }

    #[test]
    fn paragraphs_and_lists_stay() {
        assert_eq!(html("<p>Bir\n  iki</p><p>üç<br>dört</p>"), "Bir iki\n\nüç\ndört");
        assert_eq!(
            html("Seç:<ul><li>a</li><li>b<ol><li>c</li></ol></li></ul>Son"),
            "Seç:\n\n- a\n- b\n  1. c\n\nSon"
        );
        assert_eq!(html("<div>a</div><div> b </div>"), "a\nb");
        assert_eq!(
            html("<table><tr><td>a</td><td>b</td></tr><tr><td>c</td></tr></table>"),
            "a | b\nc"
        );
        assert_eq!(html("<pre>if x:\n    y()\n\n\nz</pre>"), "if x:\n    y()\n\n\nz");
    }

    #[test]
    fn tags_and_entities_are_resolved() {
        assert_eq!(html("a &lt; b &amp; <b>c</b>&nbsp; d < e"), "a < b & c d < e");
        assert_eq!(
            html("<img src='x' alt='Bayrak'> Türkçe <img src=y>"),
            "[Bayrak] Türkçe"
        );
        assert_eq!(html("a<script>alert('<b>')</script><!-- x > y -->b"), "ab");
        assert_eq!(html("<p title='a > b'>c</p>"), "c");
        assert_eq!(html("<p title='a>b</p>"), "b");
        assert_eq!(html("1 <"), "1 <");
    }

    #[test]
    fn pictures_and_readings() {
        assert_eq!(html("a <img alt='x.png' src='y'>"), "a");
        assert_eq!(
            html("<ruby>村<rp>(</rp><rt>むら</rt><rp>)</rp></ruby>"),
            "村(むら)"
        );
    }

    #[test]
    fn powers_and_formulas_stay_readable() {
        assert_eq!(
            html("x<sup>2</sup> + H<sub>2</sub>O, e<sup>x+y</sup>, 1<sup>st</sup>, a<sub>n</sub>"),
            "x² + H₂O, e^(x+y), 1st, a_n"
        );
        assert_eq!(
            html("<math><mi>E</mi><mo>=</mo><mi>m</mi><msup><mi>c</mi><mn>2</mn></msup></math>"),
            "E=mc²"
        );
        assert_eq!(
            html(
                "<math><mfrac><mn>1</mn><mrow><mi>x</mi><mo>+</mo><mn>1</mn></mrow></mfrac><msqrt><mn>3</mn></msqrt></math>!"
            ),
            "1/(x+1)√3!"
        );
    }

    #[test]
    fn automatic_markup_keeps_lines_and_comparisons() {
        assert_eq!(plain(Markup::Auto, "a\nb <b>c</b>\n\n\nd"), "a\nb c\n\nd");
        assert_eq!(plain(Markup::Auto, "if a<b then c>d"), "if a<b then c>d");
        assert_eq!(plain(Markup::Auto, "  x = 1\n    y"), "x = 1\n    y");
        assert_eq!(plain(Markup::Markdown, " **a** < <b> "), "**a** < <b>");
    }
}
