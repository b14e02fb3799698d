"""One HTML page of a folder of results: tables in, sentences and figures out; nothing is computed."""
