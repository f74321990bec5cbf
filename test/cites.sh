#!/bin/sh
# What the sources and the documents cite is there:
#
#   protocol.md, "Five beats"        a heading of that document, or the bold words that begin one of
#                                    its paragraphs; without their number, since numbers move
#   store/copies.h, commands.c       a file in git, by its path or the end of it
#   [text](operations.md#metrics)    a file and, behind #, a heading
#   section 2.4, (2.4)               in a document only: a heading with this number
#
# Comments and documents may name files; citations by heading are looked for everywhere. Prints what
# is not there; exits 1 when there is any.
set -eu
cd "$(dirname "$0")/.."

# shellcheck disable=SC2046  # names in git have no spaces
git ls-files | awk '
    # slug HEADING: as GitHub makes an anchor of it.
    function slug(text) {
        text = tolower(text)
        gsub(/[^a-z0-9 _-]/, "", text)
        gsub(/ /, "-", text)
        return text
    }
    # absolute PATH: without "dir/../".
    function absolute(path) {
        while (sub(/[^\/.][^\/]*\/\.\.\//, "", path)) { }
        sub(/^\.\//, "", path)
        return path
    }
    function complain(what) {
        printf "%s: %s\n", file, what
        status = 1
    }
    function has_heading(document, text) {
        return (document SUBSEP text) in headings
    }
    function add_heading(document, text,    number) {
        if (match(text, /^[0-9]+(\.[0-9]+)*\.? /)) {
            number = substr(text, 1, RLENGTH - 1)
            sub(/\.$/, "", number)
            numbers[document, number]
            text = substr(text, RLENGTH + 1)
        }
        sub(/[.:,]$/, "", text)
        headings[document, text]
    }
    # Reads the headings of a document.
    function learn(document,    line, is_code, name) {
        name = document
        sub(/.*\//, "", name)
        is_code = 0
        while ((getline line < document) > 0) {
            if (line ~ /^```/) { is_code = !is_code }
            if (is_code) { continue }
            if (line ~ /^#+ /) {
                sub(/^#+ /, "", line)
                anchors[document, slug(line)]
                add_heading(name, line)
            } else if (match(line, /^(- |[0-9]+\. )?\*\*[^*]+\*\*/)) {
                line = substr(line, 1, RLENGTH - 2)
                sub(/.*\*\*/, "", line)
                add_heading(name, line)
            }
        }
        close(document)
    }
    # All the headings that follow the name of a document.
    function check_citations(text,    document, cited) {
        while (match(text, /[A-Za-z-]+\.md, "[^"]+"/)) {
            cited = substr(text, RSTART, RLENGTH)
            text = substr(text, RSTART + RLENGTH)
            document = cited
            sub(/, ".*/, "", document)
            do {
                sub(/^[^"]*"/, "", cited)
                sub(/"$/, "", cited)
                if (!has_heading(document, cited)) {
                    complain(document " has no \"" cited "\"")
                }
                if (!match(text, /^( \([0-9, ]+\))?, "[^"]+"/)) { break }
                cited = substr(text, 1, RLENGTH)
                text = substr(text, RLENGTH + 1)
            } while (1)
        }
    }
    function check_names(text,    words, count, i, word) {
        count = split(text, words, /[][ \t(){},;:"`|=<>*]+|\047|--/)
        for (i = 1; i <= count; i++) {
            word = words[i]
            sub(/#.*/, "", word)
            sub(/[.?!]+$/, "", word)
            if (word !~ /^[A-Za-z0-9_.][A-Za-z0-9_.\/-]*\.(c|h|lua|py|sh|md|yml|awk)$/) { continue }
            if (word ~ /^build\// || word ~ /^(linux|netinet)\//) { continue }
            if (!(absolute(directory word) in names) && !(word in names)) {
                complain("names " word ", which is not in git")
            }
        }
    }
    function check_links(text,    target, anchor) {
        while (match(text, /\]\([^) ]+\)/)) {
            target = substr(text, RSTART + 2, RLENGTH - 3)
            text = substr(text, RSTART + RLENGTH)
            if (target ~ /^[a-z]+:/) { continue }
            anchor = target
            if (!sub(/^[^#]*#/, "", anchor)) { anchor = "" }
            sub(/#.*/, "", target)
            target = target == "" ? file : absolute(directory target)
            if (!(target in names)) {
                complain("links to " target ", which is not in git")
            } else if (anchor != "" && !((target SUBSEP anchor) in anchors)) {
                complain("links to " target "#" anchor ", which is no heading")
            }
        }
    }
    # Numbers of sections: documents show them, so their own may be used there; sources cite
    # headings. What a source calls a section may be one of an RFC that it names.
    function check_numbers(text, is_document,    number) {
        if (!is_document && text ~ /\.md,? \(?sections? [0-9]/) {
            complain("cites a document by number: cite the heading")
        } else if (!is_document && text !~ /RFC/ && text ~ /[( ]sections? [0-9]/) {
            complain("cites a section by number: cite document and heading")
        }
        while (is_document && match(text, /section [0-9]+(\.[0-9]+)?|\([0-9]\.[0-9]\)/)) {
            number = substr(text, RSTART, RLENGTH)
            text = substr(text, RSTART + RLENGTH)
            gsub(/[^0-9.]/, "", number)
            if (!((is_document SUBSEP number) in numbers)) { complain("has no section " number) }
        }
    }
    function check(    line, text, comments, is_code, is_comment, is_document, is_c) {
        directory = file
        if (!sub(/[^\/]*$/, "", directory)) { directory = "" }
        is_document = ""
        if (file ~ /\.md$/) { is_document = file; sub(/.*\//, "", is_document) }
        is_c = file ~ /\.[ch]$/
        is_comment = 0
        while ((getline line < file) > 0) {
            if (is_document != "") {
                if (line ~ /^```/) { is_code = !is_code }
                if (!is_code) { comments = comments " " line }
            } else if (is_c) {
                if (line ~ /^#include/) { sub(/[<"].*[>"]/, "", line) }
                if (line ~ /\/\*/) { is_comment = 1 }
                if (is_comment) { comments = comments " " line }
                if (line ~ /\*\//) { is_comment = 0 }
            } else if (line ~ /^ *(#|--)/) {
                comments = comments " " line
            }
            sub(/^[ \t]*(\/\*+|\*+|#+|--+)?[ \t]*/, "", line)
            text = text " " line
        }
        close(file)
        check_citations(text)
        check_names(comments)
        check_numbers(comments, is_document)
        if (is_document != "") { check_links(comments) }
    }
    {
        files[++count_of_files] = $0
        path = $0
        do { names[path] } while (sub(/^[^\/]*\//, "", path))
        path = $0
        while (sub(/\/[^\/]*$/, "", path)) { names[path]; names[path "/"] }
    }
    /\.md$/ { learn($0) }
    END {
        for (i = 1; i <= count_of_files; i++) {
            file = files[i]
            if (file ~ /\.([ch]|lua|py|sh|md|yml|conf|awk|Dockerfile)$|^kassa$|^Makefile$/) { check() }
        }
        exit status
    }'
