//! The logical cloud of DCM: model, rules, plans, ports and use cases, free of any runtime
