//! Character references of HTML and XML.

/// Names for U+00A0 to U+00FF, in order.
const LATIN: &str = "nbsp iexcl cent pound curren yen brvbar sect uml copy ordf laquo not shy reg macr deg plusmn sup2 \
sup3 acute micro para middot cedil sup1 ordm raquo frac14 frac12 frac34 iquest Agrave Aacute Acirc Atilde Auml Aring \
AElig Ccedil Egrave Eacute Ecirc Euml Igrave Iacute Icirc Iuml ETH Ntilde Ograve Oacute Ocirc Otilde Ouml times Oslash \
Ugrave Uacute Ucirc Uuml Yacute THORN szlig agrave aacute acirc atilde auml aring aelig ccedil egrave eacute ecirc euml \
igrave iacute icirc iuml eth ntilde ograve oacute ocirc otilde ouml divide oslash ugrave uacute ucirc uuml yacute thorn \
yuml";

const GREEK_CAPITALS: &str = "Alpha Beta Gamma Delta Epsilon Zeta Eta Theta Iota Kappa Lambda Mu Nu Xi Omicron Pi Rho \
- Sigma Tau Upsilon Phi Chi Psi Omega";

const GREEK: &str = "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigmaf \
sigma tau upsilon phi chi psi omega";

const OTHERS: [(&str, char); 50] = [
    ("amp", '&'),
    ("lt", '<'),
    ("gt", '>'),
    ("quot", '"'),
    ("apos", '\''),
    ("Gbreve", 'Ğ'),
    ("gbreve", 'ğ'),
    ("Idot", 'İ'),
    ("imath", 'ı'),
    ("inodot", 'ı'),
    ("Scedil", 'Ş'),
    ("scedil", 'ş'),
    ("ndash", '–'),
    ("mdash", '—'),
    ("lsquo", '‘'),
    ("rsquo", '’'),
    ("sbquo", '‚'),
    ("ldquo", '“'),
    ("rdquo", '”'),
    ("bdquo", '„'),
    ("bull", '•'),
    ("hellip", '…'),
    ("prime", '′'),
    ("euro", '€'),
    ("trade", '™'),
    ("larr", '←'),
    ("uarr", '↑'),
    ("rarr", '→'),
    ("darr", '↓'),
    ("harr", '↔'),
    ("rArr", '⇒'),
    ("hArr", '⇔'),
    ("forall", '∀'),
    ("exist", '∃'),
    ("empty", '∅'),
    ("isin", '∈'),
    ("notin", '∉'),
    ("sum", '∑'),
    ("minus", '−'),
    ("radic", '√'),
    ("infin", '∞'),
    ("cap", '∩'),
    ("cup", '∪'),
    ("int", '∫'),
    ("asymp", '≈'),
    ("ne", '≠'),
    ("equiv", '≡'),
    ("le", '≤'),
    ("ge", '≥'),
    ("sub", '⊂'),
];

/// Longer than any name of these.
const MAX_NAME: usize = 12;

/// `name` is what stands between `&` and `;`. Entities that a document declares itself are never looked at.
pub(crate) fn resolve(name: &str) -> Option<char> {
    if let Some(number) = name.strip_prefix('#') {
        let code = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(code).filter(|character| *character != '\0');
    }
    let numbered = |names: &str, first: u32| {
        let index = names.split_whitespace().position(|other| other == name)?;
        char::from_u32(first + u32::try_from(index).ok()?)
    };
    let other = OTHERS
        .iter()
        .find(|(other, _)| *other == name)
        .map(|(_, character)| *character);
    other
        .or_else(|| numbered(LATIN, 0xa0))
        .or_else(|| numbered(GREEK, 0x3b1))
        .or_else(|| numbered(GREEK_CAPITALS, 0x391).filter(|_| name != "-"))
}

/// Where the text starts with a reference: its character and its length in bytes.
pub(crate) fn at_start(text: &str) -> Option<(char, usize)> {
    let rest = text.strip_prefix('&')?;
    let end = rest.bytes().take(MAX_NAME).position(|byte| byte == b';')?;
    Some((resolve(rest.get(..end)?)?, end + 2))
}

/// References that are not known stay as they are.
pub(crate) fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        let (before, reference) = rest.split_at(at);
        out.push_str(before);
        let (character, length) = at_start(reference).unwrap_or(('&', 1));
        out.push(character);
        rest = reference.get(length..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_become_characters() {
        let text = "a &amp;&amp; b &lt; &#231;&#x15F; &ccedil;&yuml;&nbsp;&alpha;&omega;&Omega;";
        assert_eq!(unescape(text), "a && b < çş çÿ\u{a0}αωΩ");
        assert_eq!(
            unescape("AT&T & &unknown; &#0; &#xD800; &"),
            "AT&T & &unknown; &#0; &#xD800; &"
        );
    }
}
