# Tables 2 and 3 again, in R, from the exported ratings_long.csv and roi_long.csv.
#
#     Rscript recompute_tables.R [FOLDER]
#
# Needs base R and, for the exact test, the package exactRankTests. Writes tests_r.csv (p and q of
# every comparison) and tables_r.csv (n, mean and SD of every cell) beside the data.

# Names outside ASCII need a UTF-8 locale; a server's may be plain C.
if (!l10n_info()[["UTF-8"]]) invisible(suppressWarnings(Sys.setlocale("LC_CTYPE", "C.UTF-8")))

@PLAN@

arguments <- commandArgs(trailingOnly = TRUE)
folder <- if (length(arguments)) arguments[1] else "."
if (method == "exact" && !requireNamespace("exactRankTests", quietly = TRUE))
  stop("The exact test needs the package exactRankTests: install.packages(\"exactRankTests\").")

read_table <- function(name, text_columns) {
  path <- file.path(folder, name)
  if (!file.exists(path) || !any(nzchar(readLines(path, warn = FALSE)))) return(NULL)
  table <- read.csv(path, colClasses = "character", na.strings = "", fileEncoding = "UTF-8",
                    check.names = FALSE)
  for (column in setdiff(names(table), text_columns)) table[[column]] <- as.numeric(table[[column]])
  if (nrow(table) == 0) NULL else table
}

# One matrix a table row: volunteers by arms.
matrix_of <- function(volunteer, arm, value, everyone) {
  wide <- matrix(NA_real_, length(everyone), length(arms), dimnames = list(everyone, arms))
  wide[cbind(volunteer, arm)] <- value
  wide
}

rows <- list()
add_row <- function(metric, row, reader, values)
  rows[[length(rows) + 1]] <<- list(metric = metric, row = row, reader = reader, values = values)

regions <- read_table("roi_long.csv", c("volunteer", "arm", "tissue"))
if (!is.null(regions) && length(tissues)) {
  cases <- unique(regions[c("volunteer", "arm")])
  everyone <- sort(unique(regions$volunteer))
  measured <- function(tissue, column) {
    key <- paste(regions$volunteer, regions$arm, regions$tissue, sep = "\r")
    regions[[column]][match(paste(cases$volunteer, cases$arm, tissue, sep = "\r"), key)]
  }
  noise <- function(tissue) {
    sd <- if (noise_kind == "difference") measured(tissue, "sd_difference")
      else if (noise_kind == "tissue_sd") measured(tissue, "sd")
      else measured(air, "sd")
    ifelse(sd > 0, sd, NA)
  }
  for (tissue in tissues) {
    snr <- measured(tissue, "mean") / (noise(tissue) / noise_divisor)
    add_row("SNR", tissue, "", matrix_of(cases$volunteer, cases$arm, snr, everyone))
  }
  for (tissue in setdiff(if (nzchar(reference_tissue)) tissues else character(), reference_tissue)) {
    sd <- noise(tissue)
    if (noise_kind %in% c("difference", "tissue_sd"))
      sd <- sqrt((sd^2 + noise(reference_tissue)^2) / 2)
    cnr <- (measured(tissue, "mean") - measured(reference_tissue, "mean")) / (sd / noise_divisor)
    add_row("CNR", tissue, "", matrix_of(cases$volunteer, cases$arm, cnr, everyone))
  }
}

ratings <- read_table("ratings_long.csv", c("volunteer", "arm", "reader", "criterion"))
if (!is.null(ratings)) {
  if ("occasion" %in% names(ratings)) ratings <- ratings[ratings$occasion == 1, ]
  readers <- sort(unique(ratings$reader))
  everyone <- sort(unique(ratings$volunteer))
  for (criterion in criteria) {
    part <- ratings[ratings$criterion == criterion, ]
    if (reader_summary == "each") {
      for (reader in readers) {
        own <- part[part$reader == reader, ]
        add_row("score", criterion, reader, matrix_of(own$volunteer, own$arm, own$score, everyone))
      }
    } else {
      summarise <- function(score) {
        known <- score[!is.na(score)]
        if (length(known) == 0 || (missing == "complete" && length(known) < length(readers))) NA
        else if (reader_summary == "median") median(known) else mean(known)
      }
      cell <- aggregate(part$score, list(volunteer = part$volunteer, arm = part$arm), summarise)
      add_row("score", criterion, "", matrix_of(cell$volunteer, cell$arm, cell$x, everyone))
    }
  }
}

exact_p <- function(d) {
  if (zeros == "drop") return(exactRankTests::wilcox.exact(d[d != 0], exact = TRUE)$p.value)
  ranks <- 2 * rank(abs(d))[d != 0]
  signs <- sign(d[d != 0])
  smaller <- min(sum(ranks[signs > 0]), sum(ranks[signs < 0]))
  min(1, 2 * exactRankTests::pperm(smaller, as.integer(round(ranks)), length(ranks), paired = TRUE,
                                   alternative = "less"))
}

asymptotic_p <- function(d) {
  n_zero <- if (zeros == "drop") 0 else sum(d == 0)
  kept <- if (zeros == "drop") d[d != 0] else d
  n <- length(kept)
  ranks <- rank(abs(kept))
  ties <- table(abs(kept[kept != 0]))
  expected <- n * (n + 1) / 4 - n_zero * (n_zero + 1) / 4
  variance <- (n * (n + 1) * (2 * n + 1) - n_zero * (n_zero + 1) * (2 * n_zero + 1)) / 24 -
    sum(ties^3 - ties) / 48
  2 * pnorm(-abs(sum(ranks[kept > 0]) - expected) / sqrt(variance))
}

family_of <- function(row, a, b) {
  stage <- if (row$metric == "score") "qualitative" else "quantitative"
  name <- switch(family,
    row = paste("row:", row$metric, row$row),
    column = paste("column:", row$metric, a, b),
    stage = paste("stage:", stage),
    all = "all")
  if (family == "all") name else paste(name, row$reader)
}

compare <- function(row, a, b) {
  difference <- row$values[, b] - row$values[, a]
  # Rounded before ranking: the noise of the arithmetic would break ties.
  d <- round(difference[!is.na(difference)], decimals)
  kept <- if (zeros == "drop") d[d != 0] else d
  ranks <- rank(abs(kept))
  p <- if (length(d) == 0) NA else if (all(d == 0)) 1
    else if (method == "exact") exact_p(d) else asymptotic_p(d)
  data.frame(metric = row$metric, row = row$row, reader = row$reader, a = a, b = b,
             n = length(d), n_nonzero = sum(d != 0), w_plus = sum(ranks[kept > 0]),
             w_minus = sum(ranks[kept < 0]), p = p, family = family_of(row, a, b))
}

tests <- do.call(rbind, lapply(rows, function(row)
  do.call(rbind, lapply(comparisons, function(pair) compare(row, pair[1], pair[2])))))
# p.adjust leaves a missing p out of its family.
tests$q <- ave(tests$p, tests$family, FUN = function(p) p.adjust(p, "BH", sum(!is.na(p))))
cells <- do.call(rbind, lapply(rows, function(row)
  data.frame(metric = row$metric, row = row$row, reader = row$reader, arm = arms,
             n = colSums(!is.na(row$values)), mean = colMeans(row$values, na.rm = TRUE),
             sd = apply(row$values, 2, sd, na.rm = TRUE))))

write_table <- function(table, name) {
  for (column in names(table)[vapply(table, is.double, TRUE)])
    table[[column]] <- ifelse(is.na(table[[column]]), "", sprintf("%.17g", table[[column]]))
  write.csv(table, file.path(folder, name), row.names = FALSE, quote = TRUE, fileEncoding = "UTF-8")
}
write_table(tests, "tests_r.csv")
write_table(cells, "tables_r.csv")
