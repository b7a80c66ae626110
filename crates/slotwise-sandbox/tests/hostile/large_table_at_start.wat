(table 2000000 funcref)
