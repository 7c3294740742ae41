module my-plugin

go 1.24

require nozzle v0.0.0

replace nozzle => ./sdk
