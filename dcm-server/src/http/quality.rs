//! How much a client likes something, as it says in `Accept` and its kin (RFC 9110, section 12.4.2).

/// The weight in thousandths; 0 where it is not one.
pub(super) fn weight(parameters: &str) -> u16 {
    let quality = parameters.split(';').find_map(|parameter| parameter.trim().strip_prefix("q="));
    match quality.map(|text| text.trim().parse::<f32>()) {
        None => 1000,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it lies from 0 to 1000")]
        Some(Ok(quality)) if (0.0..=1.0).contains(&quality) => (quality * 1000.0) as u16,
        Some(_) => 0,
    }
}
