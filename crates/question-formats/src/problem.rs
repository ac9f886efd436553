//! Why one item cannot be read.

/// Becomes a [`crate::Fault`] where file and line are known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    pub(crate) code: &'static str,
    pub(crate) message: String,
}

impl Problem {
    fn new(code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new("unsupported_type", message)
    }

    pub(crate) fn syntax(message: impl Into<String>) -> Self {
        Self::new("syntax", message)
    }

    pub(crate) fn no_answer(message: impl Into<String>) -> Self {
        Self::new("no_correct_answer", message)
    }

    pub(crate) fn too_large(message: impl Into<String>) -> Self {
        Self::new("too_large", message)
    }

    pub(crate) fn encoding(message: impl Into<String>) -> Self {
        Self::new("encoding", message)
    }

    /// A question or a choice of which nothing is left as text, such as a picture without a description.
    pub(crate) fn empty(message: impl Into<String>) -> Self {
        Self::new("empty_text", message)
    }
}
