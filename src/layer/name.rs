/// The name that Keras gives to the first layer of a class: the class in snake case, as in
/// `max_pooling1d` for `MaxPooling1D`. Files of Keras also name groups of weights so.
///
/// ```
/// use birnn::layer::default_name;
/// assert_eq!(default_name("SimpleRNN"), "simple_rnn");
/// ```
pub fn default_name(class_name: &str) -> String {
    let characters: Vec<char> = class_name.chars().collect();
    let mut name = String::new();
    for (i, &c) in characters.iter().enumerate() {
        let after_lower = i > 0 && !characters[i - 1].is_uppercase();
        let before_lower = i > 0 && characters.get(i + 1).is_some_and(|next| next.is_lowercase());
        if c.is_uppercase() && (after_lower && !characters[i - 1].is_ascii_digit() || before_lower)
        {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

#[cfg(test)]
mod tests {
    #[test]
    fn default_names_are_kerass() {
        for (class_name, name) in [
            ("LSTM", "lstm"),
            ("SimpleRNN", "simple_rnn"),
            ("MaxPooling1D", "max_pooling1d"),
            ("GlobalAveragePooling1D", "global_average_pooling1d"),
            ("Conv1D", "conv1d"),
            ("PReLU", "p_re_lu"),
            ("ReLU", "re_lu"),
            ("TimeDistributed", "time_distributed"),
        ] {
            assert_eq!(super::default_name(class_name), name);
        }
    }
}
