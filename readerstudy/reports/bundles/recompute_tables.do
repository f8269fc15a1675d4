* Tables 2 and 3 again, in Stata 14 or later, from ratings_long.csv and roi_long.csv.
* Run it in their folder. Writes tests_stata.csv (p and q of every comparison) and
* tables_stata.csv (n, mean and SD of every cell).
version 14
clear all
set more off

@PLAN@

mata:
real colvector mid_ranks(real colvector x)
{
    real colvector places, sorted, ranks
    real scalar i, j, n
    n = rows(x)
    places = order(x, 1)
    sorted = x[places]
    ranks = J(n, 1, .)
    i = 1
    while (i <= n) {
        j = i
        while (j < n) {
            if (sorted[j + 1] != sorted[i]) break
            j = j + 1
        }
        ranks[places[|i \ j|]] = J(j - i + 1, 1, (i + j) / 2)
        i = j + 1
    }
    return(ranks)
}

// n, non-zero pairs, W+, W-, two-sided p of the differences d (without missing values)
real rowvector signed_rank(real colvector d, string scalar method, string scalar zeros)
{
    real colvector kept, ranks, doubled, c, shifted, values
    real scalar n, n_nonzero, w_plus, w_minus, k, t, total, smaller, p, m, z, ties
    real scalar expected, variance
    n = rows(d)
    n_nonzero = sum(d :!= 0)
    if (n_nonzero == 0) return((n, 0, 0, 0, 1))
    kept = (zeros == "drop" ? select(d, d :!= 0) : d)
    ranks = mid_ranks(abs(kept))
    w_plus = sum(select(ranks, kept :> 0))
    w_minus = sum(select(ranks, kept :< 0))
    if (method == "exact") {
        // P(doubled W+ = k) by convolution of one two-point distribution a rank
        doubled = round(2 :* select(ranks, kept :!= 0))
        total = sum(doubled)
        c = J(total + 1, 1, 0)
        c[1] = 1
        for (k = 1; k <= rows(doubled); k++) {
            t = doubled[k]
            shifted = J(t, 1, 0) \ c[|1 \ total + 1 - t|]
            c = (c + shifted) / 2
        }
        smaller = round(2 * min((w_plus, w_minus)))
        p = min((1, 2 * sum(c[|1 \ smaller + 1|])))
    }
    else {
        m = rows(kept)
        z = sum(kept :== 0)
        values = uniqrows(abs(select(kept, kept :!= 0)))
        ties = 0
        for (k = 1; k <= rows(values); k++) {
            t = sum(abs(kept) :== values[k])
            ties = ties + t^3 - t
        }
        expected = m * (m + 1) / 4 - z * (z + 1) / 4
        variance = (m * (m + 1) * (2 * m + 1) - z * (z + 1) * (2 * z + 1)) / 24 - ties / 48
        p = 2 * normal(-abs(w_plus - expected) / sqrt(variance))
    }
    return((n, n_nonzero, w_plus, w_minus, p))
}

// Benjamini and Hochberg's q within each family; a missing p is left out of its family
void adjust_p(string scalar p_name, string scalar family_name, string scalar q_name)
{
    real colvector p, family, q, members, places
    real scalar f, k, m, least
    p = st_data(., p_name)
    family = st_data(., family_name)
    q = J(rows(p), 1, .)
    for (f = 1; f <= max(family); f++) {
        members = select((1::rows(p)), (family :== f) :& (p :< .))
        m = rows(members)
        if (m == 0) continue
        places = members[order(p[members], 1)]
        least = 1
        for (k = m; k >= 1; k--) {
            least = min((least, p[places[k]] * m / k))
            q[places[k]] = least
        }
    }
    st_store(., q_name, q)
}

// One row a group of the data set in memory: n, n_nonzero, w_plus, w_minus, p
void every_test(string scalar method, string scalar zeros)
{
    real colvector d, group
    real scalar g
    real matrix found
    d = st_data(., "d")
    group = st_data(., "group")
    found = J(rows(d), 5, .)
    for (g = 1; g <= max(group); g++) {
        found[selectindex(group :== g), .] =
            J(sum(group :== g), 1, signed_rank(select(d, group :== g), method, zeros))
    }
    st_store(., ("n", "n_nonzero", "w_plus", "w_minus", "p"), found)
}
end

tempfile snr cnr score pairs regions reference air
local parts ""
@READ@
clear
foreach part of local parts {
    append using "``part''"
}
drop if missing(value)
generate armno = .
local at = 0
foreach code of local arms {
    local ++at
    replace armno = `at' if arm == "`code'"
}
preserve
collapse (count) n=value (mean) mean=value (sd) sd=value, by(metric row reader arm)
export delimited using "tables_stata.csv", replace datafmt
list, sepby(metric row)
restore
drop arm
reshape wide value, i(metric row reader volunteer) j(armno)
forvalues k = 1/`at' {
    capture confirm variable value`k'
    if _rc generate double value`k' = .
}
tempfile wide
save "`wide'"
@PAIRS@
egen long group = group(metric row reader comparison)
foreach name in n n_nonzero w_plus w_minus p q {
    generate double `name' = .
}
mata: every_test("`method'", "`zeros'")
bysort group: keep if _n == 1
generate stage = cond(metric == "score", "qualitative", "quantitative")
@FAMILY@
mata: adjust_p("p", "family", "q")
sort metric row reader comparison
format p q %20.0g
keep metric row reader a b n n_nonzero w_plus w_minus p q
order metric row reader a b n n_nonzero w_plus w_minus p q
export delimited using "tests_stata.csv", replace
list metric row a b n n_nonzero p q, sepby(metric row)
