module nozzle

go 1.24
