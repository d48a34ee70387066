//! Polynomials over the scalars: evaluation, Lagrange's factors, and the test that points lie on one polynomial
//! (docs/spec/key.md, sections 4, 5 and 9). Indices are public, so only [`evaluate`] meets secrets.

use curve25519_dalek::scalar::Scalar;
use zeroize::Zeroizing;

use crate::share::ShareIndex;

/// The polynomial with these coefficients, the constant one first, at `index`.
pub(crate) fn evaluate(coefficients: &[Zeroizing<Scalar>], index: ShareIndex) -> Zeroizing<Scalar> {
    let at = index.scalar();
    let mut value = Zeroizing::new(Scalar::ZERO);
    for coefficient in coefficients.iter().rev() {
        *value = *value * at + **coefficient;
    }
    value
}

/// For each index the factor with which a value there counts at zero: Π x_j / (x_j − x_i) over the others.
/// The indices must differ from each other.
pub(crate) fn lagrange_at_zero(indices: &[ShareIndex]) -> Vec<Scalar> {
    let points: Vec<Scalar> = indices.iter().map(|index| index.scalar()).collect();
    points
        .iter()
        .enumerate()
        .map(|(i, own)| {
            let others = points.iter().enumerate().filter(|(j, _)| *j != i);
            let (above, below) = others.fold((Scalar::ONE, Scalar::ONE), |(above, below), (_, other)| {
                (above * other, below * (other - own))
            });
            above * below.invert()
        })
        .collect()
}

/// Weights w_0 (for the value at zero) and w_1.. (for the values at `indices`) whose weighted sum is zero for every
/// polynomial of degree below `threshold`, and for anything else only by a chance that `alpha` decides.
///
/// w_j = f(x_j) / Π (x_j − x_k), with f(x) = 1 + αx + α²x² + ... of degree n − t: a word of the dual code.
pub(crate) fn dual_word(indices: &[ShareIndex], threshold: usize, alpha: &Scalar) -> Vec<Scalar> {
    let points: Vec<Scalar> =
        std::iter::once(Scalar::ZERO).chain(indices.iter().map(|index| index.scalar())).collect();
    let mut weights: Vec<Scalar> = points
        .iter()
        .enumerate()
        .map(|(j, own)| {
            let others = points.iter().enumerate().filter(|(k, _)| *k != j);
            others.fold(Scalar::ONE, |product, (_, other)| product * (own - other))
        })
        .collect();
    Scalar::batch_invert(&mut weights);
    let degree = indices.len() - threshold;
    for (weight, at) in weights.iter_mut().zip(&points) {
        let step = alpha * at;
        *weight *= (0..degree).fold(Scalar::ONE, |sum, _| sum * step + Scalar::ONE);
    }
    weights
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn index(at: u16) -> ShareIndex {
        ShareIndex::new(at).expect("not zero")
    }

    fn coefficients(values: &[u64]) -> Vec<Zeroizing<Scalar>> {
        values.iter().map(|value| Zeroizing::new(Scalar::from(*value))).collect()
    }

    #[test]
    fn a_polynomial_is_evaluated_from_its_constant_up() {
        // 3 + 2x + x² at 5
        assert_eq!(*evaluate(&coefficients(&[3, 2, 1]), index(5)), Scalar::from(38u64));
    }

    #[test]
    fn two_of_two_is_twice_the_first_less_the_second() {
        assert_eq!(lagrange_at_zero(&[index(1), index(2)]), [Scalar::from(2u64), -Scalar::ONE]);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_threshold_of_values_gives_the_constant(
            values in proptest::collection::vec(any::<u64>(), 1..6),
            at in proptest::collection::btree_set(1u16.., 6),
        ) {
            let polynomial = coefficients(&values);
            let chosen: Vec<_> = at.into_iter().take(values.len()).map(index).collect();
            let sum: Scalar = lagrange_at_zero(&chosen)
                .iter()
                .zip(&chosen)
                .map(|(factor, at)| factor * *evaluate(&polynomial, *at))
                .sum();
            prop_assert_eq!(sum, Scalar::from(values[0]));
        }

        #[test]
        fn the_dual_word_tells_one_polynomial_from_anything_else(
            values in proptest::collection::vec(any::<u64>(), 1..6),
            at in proptest::collection::btree_set(1u16.., 6),
            alpha in 1u64..,
            wrong in 0usize..7,
        ) {
            let polynomial = coefficients(&values);
            let at: Vec<_> = at.into_iter().map(index).collect();
            let mut word = vec![Scalar::from(values[0])];
            word.extend(at.iter().map(|at| *evaluate(&polynomial, *at)));
            let weights = dual_word(&at, values.len(), &Scalar::from(alpha));
            let sum = |word: &[Scalar]| weights.iter().zip(word).map(|(w, v)| w * v).sum::<Scalar>();
            prop_assert_eq!(sum(&word), Scalar::ZERO);
            word[wrong] += Scalar::ONE;
            prop_assert_ne!(sum(&word), Scalar::ZERO);
        }
    }
}
