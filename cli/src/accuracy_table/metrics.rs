//! The protocol buffer in which NAS-Bench-101 keeps the metrics of a training: `ModelMetrics` of its
//! `model_metrics.proto`. Of its fields only those that tables need are read; others are passed over.

/// Field 1 of `ModelMetrics`, repeated: the network before, halfway through and after training.
const EVALUATION: u64 = 1;
/// Field 2 of `ModelMetrics`.
const PARAMETERS: u64 = 2;
/// Fields of `EvaluationData`.
const VALIDATION_ACCURACY: u64 = 4;
const TEST_ACCURACY: u64 = 5;

/// The metrics of one training.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Metrics {
    /// After training, from 0 to 1.
    pub(super) validation_accuracy: f64,
    pub(super) test_accuracy: f64,
    pub(super) parameters: u64,
}

impl Metrics {
    /// Reads the message; the error says what it lacks.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, &'static str> {
        let (mut evaluations, mut last, mut parameters) = (0, None, None);
        let mut message = Message(bytes);
        while let Some((field, value)) = message.next()? {
            match (field, value) {
                (EVALUATION, Value::Bytes(evaluation)) => {
                    evaluations += 1;
                    last = Some(evaluation);
                }
                (PARAMETERS, Value::Integer(count)) => parameters = Some(count),
                _ => {}
            }
        }
        let last = last.filter(|_| evaluations == 3).ok_or("do not have three evaluations")?;
        let (mut validation, mut test) = (None, None);
        let mut message = Message(last);
        while let Some((field, value)) = message.next()? {
            match (field, value) {
                (VALIDATION_ACCURACY, Value::Real(accuracy)) => validation = Some(accuracy),
                (TEST_ACCURACY, Value::Real(accuracy)) => test = Some(accuracy),
                _ => {}
            }
        }
        let accuracy = |value: Option<f64>, missing| match value {
            Some(accuracy) if (0.0..=1.0).contains(&accuracy) => Ok(accuracy),
            Some(_) => Err("have an accuracy that is not from 0 to 1"),
            None => Err(missing),
        };
        Ok(Metrics {
            validation_accuracy: accuracy(validation, "have no validation accuracy")?,
            test_accuracy: accuracy(test, "have no test accuracy")?,
            parameters: parameters.ok_or("have no number of parameters")?,
        })
    }
}

/// A value of the wire format.
enum Value<'a> {
    Integer(u64),
    Real(f64),
    Bytes(&'a [u8]),
    /// A value of 32 bits, which no field here has.
    Short,
}

/// The unread rest of a message.
struct Message<'a>(&'a [u8]);

impl<'a> Message<'a> {
    /// The next field: its number and value.
    fn next(&mut self) -> Result<Option<(u64, Value<'a>)>, &'static str> {
        if self.0.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let value = match key & 7 {
            0 => Value::Integer(self.varint()?),
            1 => {
                let bytes: [u8; 8] = self.take(8)?.try_into().map_err(|_| CUT)?;
                Value::Real(f64::from_le_bytes(bytes))
            }
            2 => {
                let length = self.varint()?;
                Value::Bytes(self.take(usize::try_from(length).map_err(|_| CUT)?)?)
            }
            5 => {
                self.take(4)?;
                Value::Short
            }
            _ => return Err("have a field of an unknown type"),
        };
        Ok(Some((key >> 3, value)))
    }

    fn take(&mut self, length: usize) -> Result<&'a [u8], &'static str> {
        let (taken, left) = self.0.split_at_checked(length).ok_or(CUT)?;
        self.0 = left;
        Ok(taken)
    }

    /// Reads a varint: seven bits a byte, the low ones first; the high bit says that more follow.
    fn varint(&mut self) -> Result<u64, &'static str> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.take(1)?[0];
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("have a number of more than 64 bits")
    }
}

const CUT: &str = "are cut";

#[cfg(test)]
mod tests {
    use super::*;

    /// From Google's protobuf for Python: three evaluations with accuracies 0.1, 0.2, 0.3 .. and a checkpoint path,
    /// 8,555,530 parameters, a total time of 1234.5.
    const OFFICIAL: &str = "0a3e09000000000000000011000000000000000019343333333333c33f219a9999999999b93f299a9999999999b93f320f2f6d2f6d6f64656c2e636b70742d300a3f090000000000004b40110000000000e0804019343333333333eb3f219a9999999999e93f2948e17a14ae47e93f32102f6d2f6d6f64656c2e636b70742d35340a40090000000000005b40110000000000e090401938d927fc2960ef3f219e3f8e6290c6ed3f299a9999999999ed3f32112f6d2f6d6f64656c2e636b70742d313038108a988a041900000000004a9340";

    fn bytes(hex: &str) -> Vec<u8> {
        (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn the_official_encoding_is_read() {
        let expected =
            Metrics { validation_accuracy: 0.93048877, test_accuracy: 0.925, parameters: 8_555_530 };
        assert_eq!(Metrics::parse(&bytes(OFFICIAL)), Ok(expected));
    }

    #[test]
    fn what_is_no_message_is_an_error_wherever_it_is_cut() {
        let message = bytes(OFFICIAL);
        for end in 0..message.len() {
            // The time at the very end is not needed.
            let read = Metrics::parse(&message[..end]);
            assert!(read.is_err() || end == message.len() - 9, "{end}");
        }
        for (bytes, why) in [
            (&[][..], "do not have three evaluations"),
            (&[0x0a, 5, 1], "are cut"),
            (&[0x0f], "have a field of an unknown type"),
            (&[0xff; 11], "have a number of more than 64 bits"),
            (&[10, 0, 10, 0, 10, 0, 16, 1], "have no validation accuracy"),
        ] {
            assert_eq!(Metrics::parse(bytes), Err(why));
        }
    }
}
