//! Question banks of other systems: GIFT, Moodle XML, Aiken and QTI, read and (GIFT) written.

mod aiken;
mod credit;
mod decimal;
mod detect;
mod entity;
mod gift;
mod moodle_xml;
mod normal;
mod plain_text;
mod problem;
mod qti;
mod question;
mod source;
mod wildcard;
mod xml;

pub use detect::detect;
pub use gift::write_gift;
pub use question::{
    Bank, Body, Choice, Credit, FULL, Fault, Format, Imported, Limits, NumericAnswer, Question, TextAnswer,
};

/// Reads what it can, and tells for each item that it cannot read why and where. Any bytes are allowed.
pub fn read(format: Format, bytes: &[u8], limits: &Limits) -> Bank {
    let mut collector = source::Collector::new(limits);
    if format == Format::Qti {
        qti::read(bytes, &mut collector);
        return collector.finish();
    }
    match source::text(bytes, limits) {
        Err((line, problem)) => collector.stop(line, problem),
        Ok(text) => match format {
            Format::Gift => gift::read(text, &mut collector),
            Format::MoodleXml => moodle_xml::read(text, &mut collector),
            Format::Aiken => aiken::read(text, &mut collector),
            Format::Qti => {}
        },
    }
    collector.finish()
}
