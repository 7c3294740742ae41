//! Makes records, as Flink's datagen connector does (`DataGeneratorSource`), from a seed.
