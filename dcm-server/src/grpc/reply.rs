use tonic::{
    Response, Status,
    metadata::{Ascii, MetadataValue},
};

use super::{Answer, status};

/// What is to be known although it was served, one value for each warning.
const WARNING: &str = "dcm-warning";

/// All warnings of an answer together have at most so many bytes.
const MOST: usize = 4096;

/// One has at most so many characters.
const LONGEST: usize = 256;

/// Stands for the warnings that there is no room for.
const MORE: &str = "there are more warnings";

/// An answer, and what its client should know beside it.
#[derive(Debug)]
pub(super) struct Reply<T> {
    message: T,
    warnings: Vec<String>,
}

impl<T> Reply<T> {
    pub(super) const fn new(message: T) -> Self {
        Self { message, warnings: Vec::new() }
    }

    pub(super) fn warnings(mut self, warnings: impl IntoIterator<Item = String>) -> Self {
        self.warnings.extend(warnings);
        self
    }
}

/// As tonic takes it.
pub(super) fn answer<T>(answer: Answer<T>) -> Result<Response<T>, Status> {
    let Reply { message, warnings } = answer.map_err(status::carry)?;
    let mut response = Response::new(message);
    for value in values(&warnings) {
        response.metadata_mut().append(WARNING, value);
    }
    Ok(response)
}

/// The warnings as values of metadata, as far as there is room.
fn values(warnings: &[String]) -> Vec<MetadataValue<Ascii>> {
    // The key and separators count too.
    let size = |text: &str| text.len() + WARNING.len() + 4;
    let (mut values, mut room) = (Vec::new(), MOST - size(MORE));
    for warning in warnings {
        let text: String =
            warning.chars().take(LONGEST).map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
        let Some(left) = room.checked_sub(size(&text)) else {
            values.extend(MORE.parse());
            break;
        };
        room = left;
        values.extend(text.parse());
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_stay_below_their_bound() {
        let many: Vec<String> = (0..1000).map(|i| format!("unknown verb \"ä\n{i}\"")).collect();
        let values = values(&many);
        let bytes: usize = values.iter().map(|value| value.as_encoded_bytes().len()).sum();
        assert!(values.len() > 50 && bytes < MOST, "{} of {bytes} bytes", values.len());
        assert_eq!(values[0].to_str().unwrap(), "unknown verb \"??0\"");
        assert_eq!(values.last().unwrap().to_str().unwrap(), MORE);
    }

    #[test]
    fn a_few_warnings_are_all_told() {
        assert_eq!(values(&["one".to_owned(), "two".to_owned()]).len(), 2);
    }
}
