# Measurements: "make bench". Nothing here is built by plain "make" or "make check".
