//! What is declared to be the right response, and how it is compared.

use crate::decimal::Decimal;
use crate::normal::require_few;
use crate::problem::Problem;
use crate::xml::Element;
use crate::{Credit, FULL, NumericAnswer, credit, decimal};

pub(super) struct Response<'a> {
    pub(super) cardinality: &'a str,
    pub(super) base_type: &'a str,
    pub(super) correct: Vec<String>,
    pub(super) uses_mapping: bool,
    id: &'a str,
    mapping: Option<&'a Element>,
    processing: Option<&'a Element>,
}

impl<'a> Response<'a> {
    pub(super) fn of(item: &'a Element, interaction: &'a Element) -> Self {
        let id = interaction.attribute("responseIdentifier").unwrap_or("RESPONSE");
        let mut declarations = item.children_named("responseDeclaration");
        let declaration = declarations.find(|declaration| declaration.attribute("identifier") == Some(id));
        let attribute = |name: &str| declaration.and_then(|declaration| declaration.attribute(name));
        let correct = declaration.and_then(|declaration| declaration.child("correctResponse"));
        let processing = item.child("responseProcessing");
        let template = processing
            .and_then(|processing| processing.attribute("template"))
            .unwrap_or_default();
        let maps = |processing: &Element| !processing.descendants_named("mapResponse").is_empty();
        let mapping = declaration.and_then(|declaration| declaration.child("mapping"));
        Self {
            cardinality: attribute("cardinality").unwrap_or("single"),
            base_type: attribute("baseType").unwrap_or("string"),
            correct: correct
                .into_iter()
                .flat_map(|correct| correct.children_named("value"))
                .map(|value| value.text().trim().to_owned())
                .collect(),
            uses_mapping: mapping.is_some()
                && (template.contains("map_response") || processing.is_some_and(maps)),
            id,
            mapping,
            processing,
        }
    }

    fn entries(&self) -> impl Iterator<Item = (&'a str, &'a Element)> {
        let entries = self
            .mapping
            .into_iter()
            .flat_map(|mapping| mapping.children_named("mapEntry"));
        entries.filter_map(|entry| Some((entry.attribute("mapKey")?, entry)))
    }

    /// The score of one value, in millionths.
    pub(super) fn mapped(&self, key: &str) -> i64 {
        let entry = self
            .entries()
            .find(|(other, _)| *other == key)
            .map(|(_, entry)| score(entry));
        let default = || {
            self.mapping
                .and_then(|mapping| mapping.attribute("defaultValue"))
                .and_then(decimal::millionths)
        };
        entry.or_else(default).unwrap_or(0)
    }

    /// All that is accepted, as a text.
    pub(super) fn answers(&self) -> Result<Vec<(String, Credit)>, Problem> {
        if self.uses_mapping {
            let texts: Vec<String> = self.entries().map(|(key, _)| key.to_owned()).collect();
            let scores: Vec<i64> = self.entries().map(|(_, entry)| score(entry)).collect();
            if let Some(credits) = credit::best(&scores) {
                return Ok(texts.into_iter().zip(credits).collect());
            }
        }
        if self.correct.is_empty() {
            return Err(Problem::no_answer("no response is declared to be right"));
        }
        Ok(self.correct.iter().map(|text| (text.clone(), FULL)).collect())
    }

    pub(super) fn case_sensitive(&self) -> bool {
        let says_no = |element: &Element| element.attribute("caseSensitive") == Some("false");
        let in_mapping = self.uses_mapping && self.entries().any(|(_, entry)| says_no(entry));
        !in_mapping && !self.comparisons(&["stringMatch"]).into_iter().any(says_no)
    }

    pub(super) fn is_matched_by_pattern(&self) -> bool {
        !self.comparisons(&["patternMatch", "substring"]).is_empty()
    }

    /// Parts of the processing that compare this response.
    fn comparisons(&self, names: &[&str]) -> Vec<&'a Element> {
        let Some(processing) = self.processing else {
            return Vec::new();
        };
        let is_ours = |part: &Element| {
            part.children_named("variable")
                .any(|variable| variable.attribute("identifier") == Some(self.id))
        };
        processing.descendants(&|part| names.contains(&part.name.as_str()) && is_ours(part))
    }

    pub(super) fn numbers(&self) -> Result<Vec<NumericAnswer>, Problem> {
        if let Some((value, tolerance)) = self.range()? {
            return Ok(vec![NumericAnswer {
                value,
                tolerance,
                credit: FULL,
            }]);
        }
        let mut accepted = Vec::new();
        let answers = self.answers()?;
        require_few(answers.len())?;
        for (value, credit) in answers {
            let tolerance = self.tolerance(&value)?;
            accepted.push(NumericAnswer {
                value,
                tolerance,
                credit,
            });
        }
        Ok(accepted)
    }

    /// From one constant to another, when that is how the response is compared.
    fn range(&self) -> Result<Option<(String, String)>, Problem> {
        let ends = |names: &[&str]| -> Vec<Decimal> {
            let values = self
                .comparisons(names)
                .into_iter()
                .filter_map(|part| part.child("baseValue"));
            values.filter_map(|value| Decimal::parse(&value.text())).collect()
        };
        match (ends(&["gte", "gt"]).as_slice(), ends(&["lte", "lt"]).as_slice()) {
            ([], []) => Ok(None),
            ([low], [high]) => {
                let middle = Decimal::middle(*low, *high);
                let texts = middle.and_then(|(middle, half)| Some((middle.text()?, half.text()?)));
                texts
                    .map(Some)
                    .ok_or_else(|| Problem::syntax("the range of numbers is empty"))
            }
            _ => Err(Problem::unsupported("numbers compared in more than one way")),
        }
    }

    fn tolerance(&self, value: &str) -> Result<String, Problem> {
        let unclear = || Problem::syntax("the tolerance is not a number");
        if let Some(rounded) = self.comparisons(&["equalRounded"]).first() {
            if rounded.attribute("roundingMode") != Some("decimalPlaces") {
                return Err(Problem::unsupported("numbers compared by significant figures"));
            }
            let places = rounded
                .attribute("figures")
                .and_then(|figures| figures.trim().parse().ok());
            return places
                .and_then(Decimal::half_unit)
                .and_then(Decimal::text)
                .ok_or_else(unclear);
        }
        let equal = self.comparisons(&["equal"]);
        let Some(equal) = equal.iter().find(|equal| equal.attribute("tolerance").is_some()) else {
            return Ok("0".to_owned());
        };
        let first = equal
            .attribute("tolerance")
            .and_then(|tolerance| tolerance.split_whitespace().next());
        let tolerance = first.and_then(Decimal::parse).ok_or_else(unclear)?;
        match equal.attribute("toleranceMode") {
            Some("absolute") => tolerance.text().ok_or_else(unclear),
            // In hundredths of the value.
            Some("relative") => {
                let part = Decimal::parse(value).and_then(|value| value.percent(tolerance));
                part.and_then(Decimal::text).ok_or_else(unclear)
            }
            _ => Ok("0".to_owned()),
        }
    }
}

fn score(entry: &Element) -> i64 {
    entry
        .attribute("mappedValue")
        .and_then(decimal::millionths)
        .unwrap_or(0)
}
