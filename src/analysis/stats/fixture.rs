//! Golden numbers of the signed-rank test, made by scipy 1.17.1 with numpy's `default_rng(2026)`.
//!
//! Untied, for n = 6 to 25, `x = np.round(rng.normal(0.03, 0.1, n), 4)`, drawn again until all
//! magnitudes differ and none is zero. `two_sided` is `scipy.stats.wilcoxon(x,
//! method='exact').pvalue`, `greater` the same with `alternative='greater'`. `interval` reaches
//! from the first to the last Walsh average v for which `wilcoxon(x - (v ± 1e-9),
//! method='exact').pvalue > .05` just inside; `estimate` is `np.median` of the averages.
//!
//! Tied, for n = 6 to 16, `x = np.round(rng.normal(0.05, 0.15, n), 1)` (at n = 8 of magnitudes,
//! above n = 14 with two zeros more), with `wilcoxon(x,
//! method=PermutationMethod(n_resamples=np.inf))`: every sign of every difference that is not zero.

#![expect(clippy::unreadable_literal, reason = "the numbers are as scipy prints them")]

/// Differences without ties and zeros.
pub struct Untied {
    /// The differences.
    pub differences: &'static [f64],
    /// The p value in either direction.
    pub two_sided: f64,
    /// The p value against "zero or below".
    pub greater: f64,
    /// The 95 % interval.
    pub interval: (f64, f64),
    /// The Hodges–Lehmann estimate.
    pub estimate: f64,
}

/// Differences with ties or zeros.
pub struct Tied {
    /// The differences.
    pub differences: &'static [f64],
    /// The p value in either direction.
    pub two_sided: f64,
    /// The p value against "zero or below".
    pub greater: f64,
}

/// n = 6 to 25.
pub const UNTIED: [Untied; 20] = [
    Untied {
        differences: &[-0.0493, 0.0541, -0.1596, 0.1696, 0.0938, 0.0008],
        two_sided: 0.5625,
        greater: 0.28125,
        interval: (-0.1596, 0.1696),
        estimate: 0.02225,
    },
    Untied {
        differences: &[-0.0012, 0.0604, 0.0032, 0.0074, 0.102, 0.0815, 0.0236],
        two_sided: 0.03125,
        greater: 0.015625,
        interval: (0.0031, 0.0815),
        estimate: 0.041075,
    },
    Untied {
        differences: &[0.0215, 0.0461, -0.0314, -0.0104, 0.0848, 0.017, -0.1074, -0.0177],
        two_sided: 0.9453125,
        greater: 0.47265625,
        interval: (-0.0589, 0.0509),
        estimate: 0.0026,
    },
    Untied {
        differences: &[0.0957, 0.0068, 0.0151, 0.0942, 0.2125, -0.0413, 0.1648, -0.093, 0.0475],
        two_sided: 0.09765625,
        greater: 0.048828125,
        interval: (-0.02275, 0.13025),
        estimate: 0.05465,
    },
    Untied {
        differences: &[
            -0.087, 0.1651, 0.1134, 0.1438, -0.0586, 0.0985, -0.0219, -0.0157, 0.0807, 0.1177,
        ],
        two_sided: 0.10546875,
        greater: 0.052734375,
        interval: (-0.0188, 0.1229),
        estimate: 0.04885,
    },
    Untied {
        differences: &[
            0.0504, -0.0328, -0.0526, 0.1744, 0.0894, 0.102, 0.2483, -0.0516, 0.2859, 0.3451,
            0.1918,
        ],
        two_sided: 0.0244140625,
        greater: 0.01220703125,
        interval: (0.0189, 0.22355),
        estimate: 0.119125,
    },
    Untied {
        differences: &[
            0.1127, -0.0364, 0.1294, -0.0143, 0.0278, 0.001, 0.0584, 0.1588, -0.0256, -0.0685,
            -0.0703, -0.0668,
        ],
        two_sided: 0.7333984375,
        greater: 0.36669921875,
        interval: (-0.0414, 0.07025),
        estimate: 0.0154,
    },
    Untied {
        differences: &[
            -0.1131, -0.0613, 0.1593, -0.0293, 0.0557, -0.0917, 0.047, -0.1441, -0.0399, 0.2555,
            -0.0283, 0.142, 0.0755,
        ],
        two_sided: 0.7353515625,
        greater: 0.36767578125,
        interval: (-0.0605, 0.0971),
        estimate: 0.00935,
    },
    Untied {
        differences: &[
            0.0147, -0.0352, 0.1587, 0.0123, 0.1827, -0.0419, 0.0357, 0.0765, 0.0673, -0.0934,
            -0.0364, 0.0104, -0.0554, 0.0977,
        ],
        two_sided: 0.3258056640625,
        greater: 0.16290283203125,
        interval: (-0.02035, 0.07375),
        estimate: 0.02115,
    },
    Untied {
        differences: &[
            0.0498, 0.0264, 0.0817, 0.0787, 0.1448, -0.0502, -0.1988, 0.0415, -0.0312, 0.0273,
            0.1964, -0.0803, 0.1065, 0.1246, 0.0761,
        ],
        two_sided: 0.1353759765625,
        greater: 0.06768798828125,
        interval: (-0.01145, 0.09315),
        estimate: 0.050525,
    },
    Untied {
        differences: &[
            0.1419, -0.0158, -0.0382, 0.1339, 0.102, 0.169, 0.0512, 0.1924, 0.0018, -0.076,
            -0.1737, -0.0801, 0.1119, -0.1165, -0.0152, 0.2407,
        ],
        two_sided: 0.274444580078125,
        greater: 0.1372222900390625,
        interval: (-0.03265, 0.11245),
        estimate: 0.04325,
    },
    Untied {
        differences: &[
            0.1147, 0.2091, -0.0692, -0.216, 0.1816, -0.1117, 0.0391, 0.0517, -0.0649, 0.1853,
            0.1849, 0.0851, 0.0271, 0.0491, -0.0796, 0.0061, 0.0195,
        ],
        two_sided: 0.2633209228515625,
        greater: 0.13166046142578125,
        interval: (-0.02485, 0.1062),
        estimate: 0.0391,
    },
    Untied {
        differences: &[
            0.0871, -0.0376, 0.1603, -0.0561, -0.1479, 0.1725, -0.0127, 0.0343, 0.2223, 0.1436,
            0.0933, 0.137, -0.0428, 0.1053, 0.141, 0.1055, 0.0096, -0.3447,
        ],
        two_sided: 0.11870574951171875,
        greater: 0.059352874755859375,
        interval: (-0.014, 0.11845),
        estimate: 0.05755,
    },
    Untied {
        differences: &[
            0.0857, 0.0415, -0.007, 0.1078, 0.0566, 0.0504, -0.1184, -0.1159, 0.0671, 0.0376,
            0.0439, 0.0466, 0.0711, 0.0336, 0.0458, 0.0556, 0.1229, -0.0215, 0.1086,
        ],
        two_sided: 0.020412445068359375,
        greater: 0.010206222534179688,
        interval: (0.0133, 0.0707),
        estimate: 0.047625,
    },
    Untied {
        differences: &[
            0.0936, 0.0405, -0.0175, 0.0669, 0.1164, -0.0775, 0.0362, 0.0365, -0.0361, -0.0319,
            -0.1251, -0.0803, -0.1237, -0.0317, -0.026, -0.0241, 0.0672, 0.0112, -0.0429, -0.0422,
        ],
        two_sided: 0.5958194732666016,
        greater: 0.7147016525268555,
        interval: (-0.0416, 0.0237),
        estimate: -0.008825,
    },
    Untied {
        differences: &[
            -0.0832, 0.0104, 0.0086, 0.1923, 0.1834, 0.1778, 0.2379, -0.0917, 0.0973, 0.1061,
            0.0776, 0.2427, 0.2838, 0.1279, 0.0953, -0.0822, -0.082, 0.1, 0.0224, -0.1031, 0.0176,
        ],
        two_sided: 0.010125160217285156,
        greater: 0.005062580108642578,
        interval: (0.0095, 0.13495),
        estimate: 0.0731,
    },
    Untied {
        differences: &[
            0.066, 0.1236, 0.0192, 0.0031, 0.0306, 0.0473, -0.0863, 0.1133, 0.249, 0.1114, -0.1148,
            0.0395, -0.1466, -0.1529, 0.0959, 0.0378, -0.0387, -0.1787, -0.0969, 0.0462, 0.0332,
            0.099,
        ],
        two_sided: 0.5445904731750488,
        greater: 0.2722952365875244,
        interval: (-0.03765, 0.06685),
        estimate: 0.02045,
    },
    Untied {
        differences: &[
            0.1823, -0.0039, 0.0769, 0.0162, -0.0197, 0.0055, 0.1261, -0.0728, 0.1441, 0.1777,
            0.0336, 0.0555, -0.1112, 0.2661, 0.1279, 0.0472, 0.0357, 0.0751, -0.0351, 0.0583,
            -0.0624, 0.0797, -0.0378,
        ],
        two_sided: 0.01787281036376953,
        greater: 0.008936405181884766,
        interval: (0.00745, 0.0899),
        estimate: 0.046475,
    },
    Untied {
        differences: &[
            0.1196, 0.018, 0.0569, 0.3261, 0.1104, 0.0568, 0.0344, -0.0739, 0.1384, 0.1902, 0.0364,
            0.1977, 0.0188, -0.1473, -0.0353, -0.0757, 0.0025, 0.0927, -0.0629, 0.022, 0.0499,
            -0.0433, -0.0609, 0.0387,
        ],
        two_sided: 0.11396121978759766,
        greater: 0.05698060989379883,
        interval: (-0.00825, 0.0782),
        estimate: 0.035675,
    },
    Untied {
        differences: &[
            0.1172, -0.0303, -0.0451, 0.0159, 0.059, -0.0243, -0.0034, 0.0069, -0.0786, 0.0122,
            -0.026, 0.1883, -0.0217, 0.0757, 0.068, -0.0818, -0.0949, -0.0145, 0.0963, -0.0273,
            -0.0356, -0.26, -0.0097, 0.0612, 0.0745,
        ],
        two_sided: 0.978915274143219,
        greater: 0.5210774838924408,
        interval: (-0.0273, 0.0345),
        estimate: -0.0014,
    },
];

/// n = 6 to 16.
pub const TIED: [Tied; 11] = [
    Tied { differences: &[0.1, 0.0, 0.0, 0.2, 0.0, -0.3], two_sided: 1.0, greater: 0.625 },
    Tied {
        differences: &[0.2, -0.1, 0.3, 0.3, 0.2, 0.2, 0.3],
        two_sided: 0.03125,
        greater: 0.015625,
    },
    Tied {
        differences: &[0.1, 0.1, 0.1, 0.1, 0.4, 0.0, 0.1, 0.1],
        two_sided: 0.015625,
        greater: 0.0078125,
    },
    Tied {
        differences: &[0.2, 0.0, 0.0, 0.1, -0.2, -0.1, -0.1, 0.0, 0.0],
        two_sided: 1.0,
        greater: 0.6875,
    },
    Tied {
        differences: &[0.3, 0.2, 0.1, 0.0, 0.2, 0.1, 0.2, 0.3, -0.1, -0.3],
        two_sided: 0.171875,
        greater: 0.0859375,
    },
    Tied {
        differences: &[0.0, 0.1, 0.1, 0.0, 0.0, 0.1, 0.1, 0.2, -0.3, -0.2, 0.3],
        two_sided: 0.5703125,
        greater: 0.28515625,
    },
    Tied {
        differences: &[0.1, 0.2, 0.0, 0.0, 0.1, -0.1, -0.2, -0.1, 0.1, 0.1, 0.3, 0.1],
        two_sided: 0.322265625,
        greater: 0.1611328125,
    },
    Tied {
        differences: &[0.1, 0.3, -0.1, -0.1, 0.0, 0.0, 0.4, 0.0, 0.2, 0.0, 0.1, 0.2, 0.1],
        two_sided: 0.0625,
        greater: 0.03125,
    },
    Tied {
        differences: &[0.2, -0.1, 0.3, 0.2, -0.1, 0.1, -0.1, 0.1, -0.1, 0.2, 0.5, 0.3, 0.2, -0.1],
        two_sided: 0.032470703125,
        greater: 0.0162353515625,
    },
    Tied {
        differences: &[
            0.0, 0.0, 0.0, 0.1, -0.2, -0.1, -0.2, 0.3, 0.1, 0.2, 0.0, -0.2, 0.1, 0.0, -0.1,
        ],
        two_sided: 0.94140625,
        greater: 0.568359375,
    },
    Tied {
        differences: &[
            0.0, 0.0, 0.0, -0.1, -0.1, 0.1, 0.2, -0.2, 0.0, 0.0, 0.0, 0.0, 0.3, 0.1, -0.1, -0.2,
        ],
        two_sided: 1.0,
        greater: 0.564453125,
    },
];
